"""Every key: what stands where, of what kind, and what becomes of it here. One table, in two parts.

The checker walks it, `check config` and the warnings speak from it, and the compatibility page is printed from it. A
key that is not in it is unknown; a key that is in it is never ignored in silence. This module has the words; the rows
are in `root_keys` (config.toml) and `input_keys` (input.prometheus), written after Categraf v0.2.18 to v0.5.17.
"""

from __future__ import annotations

from typing import Literal

from kpwatch.base.named import NamedTuple
from kpwatch.relabel.rules import ACTIONS

Status = Literal["works", "accepted", "later", "refused"]
"""works: does what `does` says. accepted: known, and nothing needs doing for it (`does` says why).
later: known, without effect in this version, warned about. refused: so on purpose, warned about with the reason.
"""


class Key(NamedTuple):
    """One key of one table."""

    name: str
    kind: str
    """A key of `kinds.KINDS`, or "table" / "tables" for a nested `Table` with this name."""
    default: object
    """As checked (durations in seconds); None for tables."""
    status: Status
    does: str
    better: str = ""
    """Where we do it differently from the original, and why that is safe."""
    secret: bool = False
    """The value is never shown."""
    quiet: tuple[object, ...] = ()
    """Values besides the default and the empty ones that need no warning."""


class Table(NamedTuple):
    """One table; `path` is what stands in the brackets."""

    path: str
    keys: tuple[Key, ...]
    switch: str = ""
    """The key that turns the table on. While it is off nothing in the table has an effect, here as in the original;
    while it is on but itself without effect, it speaks for all keys beside it."""
    open: bool = False
    """Other keys may stand here and are of no interest."""

    def find(self, name: str) -> Key | None:
        """The row of `name`: exactly, else in any case, as the original's decoder does."""
        exact = [key for key in self.keys if key.name == name]
        same = exact or [key for key in self.keys if key.name.casefold() == name.casefold()]
        return same[0] if same else None


WORKS: Status = "works"
ACCEPTED: Status = "accepted"
LATER: Status = "later"
REFUSED: Status = "refused"


def tls_keys(switch_does: str) -> tuple[Key, ...]:
    """The TLS keys, the same in every table that has them."""
    return (
        Key("use_tls", "bool", False, WORKS, switch_does),
        Key("tls_ca", "string", "", WORKS, "CAs to trust: a PEM file, or PEM text; empty: the system's"),
        Key("tls_cert", "string", "", WORKS, "our certificate: a PEM file, or PEM text"),
        Key("tls_key", "string", "", WORKS, "its key: a PEM file, or PEM text", secret=True),
        Key("tls_key_pwd", "string", "", WORKS, "password of an encrypted key", "the original ignores it", secret=True),
        Key("insecure_skip_verify", "bool", False, WORKS, "trust any certificate"),
        Key("tls_server_name", "string", "", WORKS, "name to expect in the certificate and to send as SNI"),
        Key("tls_min_version", "string", "", WORKS, "oldest version: 1.0, 1.1, 1.2 or 1.3; empty: 1.2"),
        Key("tls_max_version", "string", "", WORKS, "newest version; empty: 1.3"),
        Key("tls_cipher_suites", "strings", (), WORKS, "cipher suites below TLS 1.3, by their Go names"),
    )


def http_client_keys() -> tuple[Key, ...]:
    """Keys of whoever sends requests to a server: writers and heartbeat."""
    return (
        Key("basic_auth_user", "string", "", WORKS, "Basic auth is sent if this is not empty"),
        Key("basic_auth_pass", "string", "", WORKS, "its password", secret=True),
        Key("headers", "pairs", (), WORKS, 'sent with every request: ["Name", "value", …]', secret=True),
        Key(
            "timeout",
            "milliseconds",
            0.0,
            WORKS,
            "for the answer once connected, in ms; 0: 30 s",
            "the original then waits for ever",
        ),
        Key(
            "dial_timeout", "milliseconds", 0.0, WORKS, "to connect, in ms; 0: 10 s", "the original then waits for ever"
        ),
        Key("max_idle_conns_per_host", "integer", 0, ACCEPTED, "one connection is kept and reused"),
    )


def relabel_keys() -> tuple[Key, ...]:
    """The keys of one relabel rule."""
    return (
        Key("source_labels", "strings", (), WORKS, "labels whose values are joined"),
        Key("separator", "string", ";", WORKS, "between them"),
        Key("regex", "string", "(.*)", WORKS, "anchored, Go's syntax"),
        Key("modulus", "integer", 0, WORKS, "of hashmod"),
        Key("target_label", "string", "", WORKS, "label to write"),
        Key("replacement", "string", "$1", WORKS, "its value"),
        Key("action", "string", "replace", WORKS, f"one of {', '.join(ACTIONS)}"),
    )
