"""An encoded scrape in another form: what a backlog on disk needs when a writer's receiver wants it said differently.

A scrape is encoded natively for every writer there is; only what was written to disk in one form and is sent in
another comes through here. `ident` is only ever added: a scrape in which `agent_hostname` was renamed already is
accepted by every receiver as it is, Nightingale included.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from kpwatch.relabel.identity import on_the_wire
from kpwatch.remote_write.blocks import read_block, write_block

if TYPE_CHECKING:
    from kpwatch.model.encoded import EncodedScrape, Form


def convert(scrape: EncodedScrape, written: Form, wanted: Form) -> EncodedScrape:
    """`scrape`, which was encoded as `written`, encoded as `wanted`; raises BadInput where it is damaged."""
    series = (
        one._replace(labels=on_the_wire(one.labels, wanted.ident)) for one in read_block(scrape.block, written.protocol)
    )
    return scrape._replace(block=write_block(series, wanted.protocol))
