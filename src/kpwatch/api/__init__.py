"""The hub's URLs: Prometheus' HTTP API and our own."""
