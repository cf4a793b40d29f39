"""Which target is the one that was scraped before."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

    from kpwatch.scrape.options import Pairs, TargetOptions

TargetKey = tuple[str, "Pairs", "Pairs"]


def key_of(target: TargetOptions) -> TargetKey:
    """What makes two targets the same series."""
    return target.url, target.url_labels, target.labels


LIKENESSES: tuple[Callable[[TargetOptions], Hashable], ...] = (
    lambda target: target,
    key_of,
    lambda target: target.url,
)
"""What two targets have in common if one goes on from the other, from the surest to the least sure (`base.pairing`)."""
