"""A configuration as it may be shown: without the values of secret keys, without user and query of URLs. Pure."""

from __future__ import annotations

import zlib

from kpwatch.base.http import redact_url
from kpwatch.config.input_keys import INPUT_TABLES
from kpwatch.config.root_keys import ROOT_TABLES

SECRET_NAMES = frozenset(
    key.name.casefold() for table in (*ROOT_TABLES, *INPUT_TABLES) for key in table.keys if key.secret
)
"""Keys whose value is never shown, in whatever table."""


def masked(value: object) -> object:
    """A value of a document with every secret in it replaced."""
    if isinstance(value, dict):
        return {name: "***" if name.casefold() in SECRET_NAMES else masked(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [masked(inner) for inner in value]
    return redact_url(value) if isinstance(value, str) and "://" in value else value


def hash_of(tables: object) -> int:
    """A number that tells one configuration from another, and nothing of a password."""
    return zlib.crc32(repr(masked(tables)).encode())
