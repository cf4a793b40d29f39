"""`pytest -p tests.long_profile`: properties are tried with fifty times as many examples (make long)."""

from __future__ import annotations

from hypothesis import settings

settings.register_profile("long", max_examples=5000, deadline=None)
settings.load_profile("long")
