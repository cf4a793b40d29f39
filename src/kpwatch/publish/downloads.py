"""What a hub gives away: the files of `kpwatch publish`, without those that take long to make.

Rules come without their unit tests, for which whole fleets are played. What was made is kept, since people look before
they take: a few megabytes, in a hub that somebody asked.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

from kpwatch.knowledge.load import knowledge
from kpwatch.knowledge.panels import panels
from kpwatch.publish.catalogue import TARGETS, Wishes, documents_for
from kpwatch.publish.prometheus import rule_documents

if TYPE_CHECKING:
    from kpwatch.publish.documents import Document


@lru_cache(maxsize=2 * len(TARGETS))
def downloads(target: str, runbooks: str) -> tuple[Document, ...]:
    """Files for one of TARGETS, by path; `runbooks` is the URL of the folder that has them, for alerts to name."""
    if target == "prometheus":
        return tuple(sorted(rule_documents(knowledge(), panels(), runbooks)))
    return tuple(documents_for(target, Wishes(runbooks)))
