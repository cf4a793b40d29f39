"""Which queries are too small to be worth a thread.

Handing a question to a thread and its answer back costs as much as answering what a page asks every few seconds: one
number, or one for each node. Such a question is answered where it arrives, on the event loop, which waits meanwhile; so
it has to be known as small. It is where the same text (and, of a range, the same length and step) was answered before
within `SECONDS_MAX`, all told, and it is evaluated within `SAMPLES_MAX`: one that needs more is a thread's after all.
One that took longer than it should, because its samples had to be read from the disk, is not small the next time.
"""

from __future__ import annotations

from collections import OrderedDict

SECONDS_MAX = 0.002
SAMPLES_MAX = 20_000
TEXTS_KEPT = 1024
TEXT_CHARACTERS_MAX = 1024


class SmallQueries:
    """Texts of queries that were answered quickly the last time. Event loop only."""

    def __init__(self) -> None:
        self._texts: OrderedDict[str, None] = OrderedDict()

    def __contains__(self, text: str) -> bool:
        return text in self._texts

    def took(self, text: str, seconds: float) -> None:
        """What it took to answer; infinity where there was no answer."""
        self._texts.pop(text, None)
        if seconds <= SECONDS_MAX and len(text) <= TEXT_CHARACTERS_MAX:
            self._texts[text] = None
            if len(self._texts) > TEXTS_KEPT:
                self._texts.popitem(last=False)
