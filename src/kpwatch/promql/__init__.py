"""Evaluates PromQL on matrices from a SeriesSource."""
