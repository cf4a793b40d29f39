"""Samples <-> Remote Write bodies, both directions of a version in one file. Pure."""
