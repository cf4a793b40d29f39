"""What an agent would have stored of a simulated node, had it run before now.

Frames for an Appender, named exactly as those of the live agent that takes over: the same identity, the same `up` and
health samples, `ident` where a receiver puts it. Values are taken without writing and reading their text, so an hour
of six nodes is a matter of a second.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from kpwatch.base.http import Answer, Failure
from kpwatch.exposition.text import family_of, parse
from kpwatch.model.frames import Frame, Layout
from kpwatch.model.labels import split_target
from kpwatch.relabel.identity import on_the_wire
from kpwatch.scrape.about import ScrapeSize, about_scrape
from kpwatch.scrape.fetch import ScrapeError
from kpwatch.scrape.health_documents import read_healthz, read_livez, read_proxy_mode
from kpwatch.scrape.target import Outcome

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from kpwatch.model.labels import Labels
    from kpwatch.relabel.identity import Identity
    from kpwatch.scrape.about import OwnSample
    from kpwatch.simulate.node import SimulatedNode


_DURATION_SECONDS = 0.005


def frames(node: SimulatedNode, identity: Identity, instants_ms: Iterable[int]) -> Iterator[Frame]:
    """One frame for each instant (unix milliseconds, in order for speed); `up` 0 alone where the node was silent."""
    layouts: dict[object, tuple[Labels, Layout]] = {}
    bodies: dict[object, bytes] = {None: b""}
    """One of each shape: its names are those of all, and its size is near enough."""
    for at_ms in instants_ms:
        at = at_ms / 1000
        ports = node.ports(at)
        if ports == "open":
            shape, values = node.sample(at)
            if shape not in bodies:
                bodies[shape] = node.metrics(at)
            own = about_scrape(_size(len(values), len(bodies[shape])), None) + _health_samples(node, at)
        else:
            health = _health_samples(node, at) if ports == "metrics-closed" else _SILENT_HEALTH
            shape, values, own = None, [], _NO_SCRAPE["timeout" if ports == "silent" else "refused"] + health
        key = (shape, tuple((sample.name, sample.labels) for sample in own))
        if key not in layouts:
            layouts[key] = _layout(identity, bodies[shape], own)
        target, layout = layouts[key]
        yield Frame(target, layout, at_ms, np.array([*values, *(sample.value for sample in own)]))


def _size(samples: int, response_bytes: int) -> ScrapeSize:
    """Of a scrape that was never made: what it would have been."""
    size = ScrapeSize(Outcome(0, _DURATION_SECONDS, b""))
    size.samples = size.samples_kept = samples
    size.response_bytes = response_bytes
    return size


_NO_SCRAPE = {reason: about_scrape(_size(0, 0), ScrapeError(reason, "")) for reason in ("timeout", "refused")}
_SILENT_HEALTH = [*read_healthz(Failure("timeout", ""), 0.0).samples, *read_livez(Failure("timeout", "")).samples]
"""What is said of a node that answers nothing."""


def _health_samples(node: SimulatedNode, at: float) -> list[OwnSample]:
    """What the node's other pages say."""
    readings = [read_healthz(_answer(*node.healthz(at)), at)]
    if not node.effect(at).other_component:
        readings.append(read_proxy_mode(_answer(200, node.proxy_mode)))
    livez = node.livez(at)
    if livez is not None:
        readings.insert(1, read_livez(_answer(*livez)))
    return [sample for reading in readings for sample in reading.samples]


def _answer(status: int, body: str) -> Answer:
    return Answer(status, {}, body.encode())


def _layout(identity: Identity, body: bytes, own: Sequence[OwnSample]) -> tuple[Labels, Layout]:
    """(target, columns) of a body and the agent's own samples, as a receiver stores them."""
    parsed = parse(body)
    stored = []
    for sample in parsed.samples:
        family = family_of(sample.name, parsed.types)
        stored.append(identity.printed(sample.name, sample.labels, family, parsed.types.get(family, "untyped")))
    stored += [identity.printed(sample.name, sample.labels, sample.name, "gauge") for sample in own]
    split = [split_target(on_the_wire(labels, "rename")) for labels in stored]
    targets = {target for target, _ in split}
    assert len(targets) == 1, f"a sample of its own target: {targets}"
    return targets.pop(), Layout(tuple(column for _, column in split))
