"""What happens in the simulated cluster: batches of EndpointSlice changes, the same for every node.

Every kube-proxy watches the same API, so nodes may differ in what they make of a change, never in which changes there
were. Time is cut into slots since 1970; what happens in a slot belongs to (cluster, slot), so any stretch of any past
can be asked for. The rhythm is that of the recorded real proxy: batches of 1 to 12 objects every 6 to 20 s,
half of them in two instalments up to five seconds apart.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from kpwatch.simulate.noise import unit

if TYPE_CHECKING:
    from collections.abc import Iterator

SLOT_SECONDS = 10.0
_BUSY = 0.95
"""Share of slots in which something changes; half of it in one instalment."""
_QUIET_SLOTS = 60


class Change(NamedTuple):
    """`objects` EndpointSlices changed at `at` (unix seconds)."""

    at: float
    objects: int


def changes_after(cluster: str, at: float, *, quiet: bool = False) -> Iterator[Change]:
    """All changes later than `at`, in time order, without end; `quiet`: one slot in ten minutes has any."""
    slot = int(at // SLOT_SECONDS)
    while True:
        for change in _changes_in(cluster, slot) if not quiet or slot % _QUIET_SLOTS == 0 else ():
            if change.at > at:
                yield change
        slot += 1


def _changes_in(cluster: str, slot: int) -> list[Change]:
    chance = unit(cluster, slot, "busy")
    if chance >= _BUSY:
        return []
    first_at = (slot + 0.4 * unit(cluster, slot, "at")) * SLOT_SECONDS
    objects = 1 + int(12 * unit(cluster, slot, "objects") ** 2)
    late = int(objects * unit(cluster, slot, "late"))
    if chance >= _BUSY / 2 or late == 0:
        return [Change(first_at, objects)]
    second_at = first_at + 0.2 + 5.0 * unit(cluster, slot, "gap")
    return [Change(first_at, objects - late), Change(second_at, late)]
