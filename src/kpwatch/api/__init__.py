"""Prometheus' HTTP API and our own over a store and an engine: URLs, parameters, answers."""
