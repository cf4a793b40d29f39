"""What an agent would have stored of a simulated node, had it run before now.

Frames for an Appender, named exactly as those of the live agent that takes over: the same identity, the same `up` and
health samples, `ident` where a receiver puts it. Values are taken without writing and reading their text, so an hour
of six nodes is a matter of a second.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from kpwatch.base.http import Answer
from kpwatch.exposition.text import family_of, parse
from kpwatch.model.frames import Frame, Layout
from kpwatch.model.labels import split_target
from kpwatch.relabel.identity import on_the_wire
from kpwatch.scrape.encoder import OwnSample
from kpwatch.scrape.health import read_healthz, read_proxy_mode

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from kpwatch.model.labels import Labels
    from kpwatch.relabel.identity import Identity
    from kpwatch.simulate.node import SimulatedNode


def frames(node: SimulatedNode, identity: Identity, instants_ms: Iterable[int]) -> Iterator[Frame]:
    """One frame for each instant (unix milliseconds, in order for speed); `up` 0 alone where the node was silent."""
    layouts: dict[object, tuple[Labels, Layout]] = {}
    for at_ms in instants_ms:
        at = at_ms / 1000
        if node.effect(at).ports == "open":
            shape, values = node.sample(at)
            own = _own_samples(node, at)
        else:
            shape, values, own = None, [], [OwnSample("up", (), 0)]
        key = (shape, tuple((sample.name, sample.labels) for sample in own))
        if key not in layouts:
            body = node.metrics(at) if shape is not None else b""
            layouts[key] = _layout(identity, body, own)
        target, layout = layouts[key]
        yield Frame(target, layout, at_ms, np.array([*values, *(sample.value for sample in own)]))


def _own_samples(node: SimulatedNode, at: float) -> list[OwnSample]:
    """What the agent adds to a scrape of `node`."""
    status, body = node.healthz(at)
    healthz = read_healthz(Answer(status, {}, body.encode()))
    return [OwnSample("up", (), 1), *healthz, *read_proxy_mode(Answer(200, {}, node.proxy_mode.encode()))]


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
