"""A configuration as it may be shown: without the values of secret keys, without user and query of URLs. Pure."""

from __future__ import annotations

import zlib

from kpwatch.base.http import basic_credentials, redact_url
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


def secrets_in(value: object) -> frozenset[str]:
    """Every secret of a document, in the shapes in which it travels, so that nobody's words show it."""
    found: set[str] = set()
    for name, inner in value.items() if isinstance(value, dict) else ():
        if name.casefold() in SECRET_NAMES:
            texts = inner[1::2] if isinstance(inner, list) else [inner]  # headers: name, value, name, value
            for text in texts:
                found.update([str(text), str(text).rpartition(" ")[2]])  # `Bearer TOKEN`
        else:
            found |= secrets_in(inner)
    if isinstance(value, dict):
        for user, password in (("username", "password"), ("basic_auth_user", "basic_auth_pass")):
            if isinstance(value.get(password), str):
                found.add(basic_credentials(f"{value.get(user, '')}:{value[password]}"))
    for inner in value if isinstance(value, list | tuple) else ():
        found |= secrets_in(inner)
    if isinstance(value, str) and "://" in value:
        found.update(_in_url(value))
    return frozenset(found - {""})


def _in_url(text: str) -> set[str]:
    """Its password, as it is and as it is sent, and what its query says, where tokens like to stand."""
    userinfo, _, _ = text.partition("://")[2].partition("/")[0].rpartition("@")
    found = {pair.partition("=")[2] for pair in text.partition("#")[0].partition("?")[2].split("&")}
    return found | ({userinfo.partition(":")[2], basic_credentials(userinfo)} if userinfo else set())


def hash_of(tables: object) -> int:
    """A number that tells one configuration from another, and nothing of a password."""
    return zlib.crc32(repr(masked(tables)).encode())
