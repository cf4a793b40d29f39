#!/usr/bin/env python3
"""Where a sample's time goes: each stage of the agent and of the hub alone, so that a regression shows where it is.

    bench/micro.py [--check] [--write-baseline] [--out FILE]

One operation is one scrape of 862 series (156 lines changed) or what becomes of it. Times are CPU of this process, the
best of some repeats. `loops` is the time in reference loops (bench/lib/reference.py): that figure is what
bench/results/baseline.json keeps and what --check compares.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from contextlib import ExitStack
from functools import partial
from itertools import compress, count, cycle
from operator import ne
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from bench.lib import compare, page, programs, recording, reference
from bench.lib.bodies import ForeignBodies, OwnBodies, foreign_2_0, identity
from bench.lib.movement import Fleet
from bench.lib.rig import answer_bytes
from kpwatch.base.http import Exchange, format_request, parse_url
from kpwatch.base.telemetry import Registry
from kpwatch.exposition.delta import DeltaParser
from kpwatch.exposition.text import parse
from kpwatch.model.matchers import Matcher
from kpwatch.receive.decode import Decoder
from kpwatch.receive.limits import ReceiveOptions
from kpwatch.remote_write import snappy
from kpwatch.remote_write.standing import LEARNING_SCRAPES
from kpwatch.scrape.about import OwnSample
from kpwatch.scrape.encoder import SeriesEncoder
from kpwatch.store.database import Store
from kpwatch.store.options import StoreOptions

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from kpwatch.model.encoded import Protocol

REPEATS = 7
REPEAT_SECONDS = 0.03
NOW_MS = 1_800_000_000_000
TARGETS = 16
_UP = OwnSample("up", (), 1.0)
_LIMIT_BYTES = 64 << 20


class Stage(NamedTuple):
    """`prepare` gets a stack for what must be closed, and gives one operation."""

    name: str
    prepare: Callable[[ExitStack], Callable[[], object]]
    scrapes: int = 1
    """What one operation handles."""


def _bodies() -> Iterator[bytes]:
    return cycle(recording.load().bodies)


def _receive(_: ExitStack) -> Callable[[], object]:
    answer = answer_bytes(recording.load().bodies[0], gzipped=False)
    pieces = [memoryview(answer)[begin : begin + (256 << 10)] for begin in range(0, len(answer), 256 << 10)]

    def operation() -> object:
        exchange = Exchange(b"", _LIMIT_BYTES, lambda _: None)
        for piece in pieces:
            exchange.feed(piece)
        return exchange.outcome()

    return operation


def _split_compare(_: ExitStack) -> Callable[[], object]:
    bodies, before = _bodies(), recording.load().bodies[-1].split(b"\n")

    def operation() -> object:
        nonlocal before
        now = next(bodies).split(b"\n")
        changed = list(compress(range(len(now)), map(ne, now, before)))
        before = now
        return changed

    return operation


def _parse_cold(_: ExitStack) -> Callable[[], object]:
    body = recording.load().bodies[0]
    return lambda: parse(body)


def _parse_delta(_: ExitStack) -> Callable[[], object]:
    bodies, parser = _bodies(), DeltaParser()
    return lambda: parser.feed(next(bodies))


def _encode_cold(_: ExitStack) -> Callable[[], object]:
    change = DeltaParser().feed(recording.load().bodies[0])

    def operation() -> object:
        encoder = SeriesEncoder(identity(0), "rename")
        encoder.feed(change)
        return encoder.encode(NOW_MS, [_UP])

    return operation


def _encode_feed(_: ExitStack) -> Callable[[], object]:
    parser, encoder = DeltaParser(), SeriesEncoder(identity(0), "rename")
    changes = [parser.feed(body) for body in recording.load().bodies]
    encoder.feed(changes[0])
    for change in 2 * changes[1:]:  # until the block stands
        encoder.feed(change)
        encoder.encode(NOW_MS, [_UP])
    following = cycle(changes[1:])
    return lambda: encoder.feed(next(following))


def _encode_join(_: ExitStack) -> Callable[[], object]:
    encoder = SeriesEncoder(identity(0), "rename")
    encoder.feed(DeltaParser().feed(recording.load().bodies[0]))
    for _ in range(2 * LEARNING_SCRAPES):
        encoder.encode(NOW_MS, [_UP])
    return lambda: encoder.encode(NOW_MS, [_UP])


def _snappy(_: ExitStack) -> Callable[[], object]:
    content = OwnBodies(0).content(NOW_MS, Fleet(1).advance()[0])
    return lambda: snappy.compress(content)


def _request(_: ExitStack) -> Callable[[], object]:
    block = OwnBodies(0).request(NOW_MS, Fleet(1).advance()[0])
    url = parse_url("http://10.206.0.16:19000/prometheus/v1/write")
    headers = {f"X-Header-{number}": "value of a usual length" for number in range(4)}
    return lambda: format_request("POST", url, headers, snappy.join_blocks([block, block]))


def _agent(_: ExitStack) -> Callable[[], object]:
    bodies, parser, encoder = _bodies(), DeltaParser(), SeriesEncoder(identity(0), "rename")

    def operation() -> object:
        encoder.feed(parser.feed(next(bodies)))
        return encoder.encode(NOW_MS, [_UP])

    return operation


def _own_requests(protocol: Protocol = "1.0") -> list[bytes]:
    """As many scrapes of TARGETS nodes as a repeat may want, in a circle: time does not matter to a decoder."""
    fleet, bodies = Fleet(TARGETS), [OwnBodies(number, protocol=protocol) for number in range(TARGETS)]
    return [
        body.request(NOW_MS + 15_000 * scrape, values)
        for scrape in range(8)
        for body, values in zip(bodies, fleet.advance(), strict=True)
    ]


def _own_contents(protocol: Protocol) -> list[bytes]:
    return [snappy.decompress(request, _LIMIT_BYTES) for request in _own_requests(protocol)]


def _decompress(_: ExitStack, protocol: Protocol) -> Callable[[], object]:
    block = _own_requests(protocol)[0]
    return lambda: snappy.decompress(block, _LIMIT_BYTES)


def _decode_known(_: ExitStack, protocol: Protocol) -> Callable[[], object]:
    contents = _own_contents(protocol)
    decoder, following = Decoder(ReceiveOptions()), cycle(contents)
    for content in contents:
        decoder.decode(content, protocol)
    return lambda: decoder.decode(next(following), protocol)


def _decode_new_node(_: ExitStack, protocol: Protocol) -> Callable[[], object]:
    """Every body the first of its node, the column names known: agents start, the hub runs."""
    contents = _own_contents(protocol)[:TARGETS]

    def operation() -> None:
        decoder = Decoder(ReceiveOptions())
        for content in contents:
            decoder.decode(content, protocol)

    return operation


def _decode_cold(_: ExitStack, protocol: Protocol) -> Callable[[], object]:
    content = _own_contents(protocol)[0]
    return lambda: Decoder(ReceiveOptions()).decode(content, protocol)


def _decode_foreign(_: ExitStack, protocol: Protocol) -> Callable[[], object]:
    fleet, bodies = Fleet(TARGETS), ForeignBodies(TARGETS)
    requests = [request for scrape in range(4) for request in bodies.requests(_times(scrape), fleet.advance())]
    requests += bodies.rest()
    contents = [snappy.decompress(request, _LIMIT_BYTES) for _, request in requests]
    if protocol == "2.0":
        contents = [foreign_2_0(content) for content in contents]
    decoder = Decoder(ReceiveOptions())

    def operation() -> None:
        for content in contents:
            decoder.decode(content, protocol)

    return operation


def _times(scrape: int) -> list[int]:
    return [NOW_MS + 15_000 * scrape + 900 * number for number in range(TARGETS)]


def _store(stack: ExitStack) -> Store:
    folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="kpwatch-bench-"))
    store = Store.open(StoreOptions(Path(folder), 0), Registry())
    stack.callback(store.close)
    return store


def _append(stack: ExitStack) -> Callable[[], object]:
    store, decoder, scrapes = _store(stack), Decoder(ReceiveOptions()), count()
    decoded = [decoder.decode(snappy.decompress(request, _LIMIT_BYTES)) for request in _own_requests()]
    following = cycle(
        [
            [frame for one in decoded[at : at + TARGETS] for frame in one.frames]
            for at in range(0, len(decoded), TARGETS)
        ]
    )

    def operation() -> object:
        timestamp_ms = NOW_MS + 15_000 * next(scrapes)
        frames = [frame._replace(timestamp_ms=timestamp_ms) for frame in next(following)]
        return store.append(frames).result()

    return operation


def _select(stack: ExitStack) -> Callable[[], object]:
    store, decoder = _store(stack), Decoder(ReceiveOptions())
    bodies, fleet = [OwnBodies(number) for number in range(TARGETS)], Fleet(TARGETS)
    for scrape in range(240):
        requests = [
            body.content(NOW_MS + 15_000 * scrape, row) for body, row in zip(bodies, fleet.advance(), strict=True)
        ]
        store.append([frame for request in requests for frame in decoder.decode(request).frames]).result()
    matchers = [Matcher("__name__", "=", "go_goroutines")]
    return lambda: list(store.select(matchers, NOW_MS, NOW_MS + 240 * 15_000))


STAGES = (
    Stage("agent: answer read from its bytes (chunked)", _receive),
    Stage("agent: lines split and compared", _split_compare),
    Stage("agent: body parsed, cold", _parse_cold),
    Stage("agent: body parsed, delta (lines included)", _parse_delta),
    Stage("agent: labels named and encoded, cold", _encode_cold),
    Stage("agent: changed values written into the block", _encode_feed),
    Stage("agent: block of a scrape", _encode_join),
    Stage("agent: snappy of a scrape made anew", _snappy),
    Stage("agent: body to block, all of the above", _agent),
    Stage("agent: request of two scrapes", _request, 2),
    Stage("hub: snappy", partial(_decompress, protocol="1.0")),
    Stage("hub: snappy, 2.0", partial(_decompress, protocol="2.0")),
    Stage("hub: decode, known run", partial(_decode_known, protocol="1.0")),
    Stage("hub: decode, known run, 2.0", partial(_decode_known, protocol="2.0")),
    Stage("hub: decode, 16 new nodes", partial(_decode_new_node, protocol="1.0"), TARGETS),
    Stage("hub: decode, 16 new nodes, 2.0", partial(_decode_new_node, protocol="2.0"), TARGETS),
    Stage("hub: decode, cold", partial(_decode_cold, protocol="1.0")),
    Stage("hub: decode, cold, 2.0", partial(_decode_cold, protocol="2.0")),
    Stage("hub: decode, foreign", partial(_decode_foreign, protocol="1.0"), 4 * TARGETS),
    Stage("hub: decode, foreign, 2.0", partial(_decode_foreign, protocol="2.0"), 4 * TARGETS),
    Stage("hub: append of 16 frames, synced", _append, TARGETS),
    Stage("hub: select one metric, 16 targets, 240 rows", _select),
)


def measure(stage: Stage) -> tuple[float, float]:
    """(CPU seconds, reference loops) for one scrape, the best of some repeats; the loop runs between them."""
    with ExitStack() as stack:
        operation = stage.prepare(stack)
        operation()
        times = [(_repeat(operation), reference.reference_seconds(2)) for _ in range(REPEATS)]
    seconds = min(seconds for seconds, _ in times) / stage.scrapes
    return seconds, seconds / min(loop for _, loop in times)


def _repeat(operation: Callable[[], object]) -> float:
    operations = 0
    began = time.process_time()
    while (used := time.process_time() - began) < REPEAT_SECONDS:
        operation()
        operations += 1
    return used / operations


def main() -> int:
    """Measure every stage; 1 where --check finds one worse."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="", help="stages whose name contains this")
    parser.add_argument("--check", action="store_true", help="fail if worse than bench/results/baseline.json allows")
    parser.add_argument("--write-baseline", action="store_true")
    parser.add_argument("--out", default="", help="write the page here as well")
    arguments = parser.parse_args()
    measured = {stage.name: measure(stage) for stage in STAGES if arguments.only in stage.name}
    known = reference.baseline()
    rows = [
        (name, page.number(1e6 * seconds), page.number(loops), page.number(known.get(f"micro, {name}", 0.0)))
        for name, (seconds, loops) in measured.items()
    ]
    head = page.head("Where a sample's time goes", {"kpwatch": programs.kpwatch()})
    text = f"{head}\nLoad: {recording.load().describe()}.\n\n"
    page.publish(text + page.table(("stage", "µs per scrape", "loops", "baseline"), rows), arguments.out)
    return compare.against_baseline(arguments, {f"micro, {name}": loops for name, (_, loops) in measured.items()})


if __name__ == "__main__":
    sys.exit(main())
