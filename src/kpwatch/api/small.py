"""Which queries are too small to be worth a thread.

Handing a question to a thread and its answer back costs as much as answering what a page asks every few seconds: one
number, or one for each node. Such a question is answered where it arrives, on the event loop, which waits meanwhile; so
it has to be known as small. It is where the same text (and, of a range, the same length and step) was answered before
within `SECONDS_MAX`, all told, and it is evaluated within `SAMPLES_MAX`: one that needs more is a thread's after all.
One that took longer than it should, because its samples had to be read from the disk, is not small the next time. But
the first time nearly everything is read: who took some milliseconds then gets one chance.
"""

from __future__ import annotations

from collections import OrderedDict

SECONDS_MAX = 0.002
FIRST_SECONDS_MAX = 0.01
"""Of a text that was not answered before."""
SAMPLES_MAX = 20_000
TEXTS_KEPT = 1024
TEXT_CHARACTERS_MAX = 1024


class SmallQueries:
    """Texts of queries, and whether they were answered quickly the last time. Event loop only."""

    def __init__(self) -> None:
        self._texts: OrderedDict[str, bool] = OrderedDict()

    def __contains__(self, text: str) -> bool:
        return self._texts.get(text, False)

    def took(self, text: str, seconds: float) -> None:
        """What it took to answer; infinity where there was no answer."""
        is_first = self._texts.pop(text, None) is None
        if len(text) <= TEXT_CHARACTERS_MAX:
            self._texts[text] = seconds <= (FIRST_SECONDS_MAX if is_first else SECONDS_MAX)
            if len(self._texts) > TEXTS_KEPT:
                self._texts.popitem(last=False)
