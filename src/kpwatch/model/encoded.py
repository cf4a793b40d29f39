"""What travels from a scrape to the writers: a piece of a Remote Write request, ready to go."""

from __future__ import annotations

from typing import Literal

from kpwatch.base.named import NamedTuple

IdentMode = Literal["add", "rename", "off"]
"""What is done about `ident`: see `relabel.identity.on_the_wire`."""

Protocol = Literal["1.0", "2.0"]
"""A version of Remote Write."""


class Form(NamedTuple):
    """One way of writing the same samples down."""

    ident: IdentMode
    protocol: Protocol


FORMS = (
    Form("off", "1.0"),
    Form("add", "1.0"),
    Form("rename", "1.0"),
    Form("off", "2.0"),
    Form("add", "2.0"),
    Form("rename", "2.0"),
)
"""All forms; the index is what stands on disk, so rows are only ever added at the end."""


class EncodedScrape(NamedTuple):
    """One scrape of one target as the snappy block of a Remote Write request.

    Blocks of protocol 1.0 may be joined into one request (`remote_write.snappy.join_blocks`), those of 2.0 may not.
    """

    block: bytes
    samples: int
    timestamp_ms: int
    source: int = 0
    """Scrapes of one source hold the same series; 0: not known. A number in [0, SOURCES)."""


SOURCES = 1 << 24
