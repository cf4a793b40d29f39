"""The benches feed every program the same true thing."""

from __future__ import annotations

import gzip

import numpy as np

from bench.lib import bodies, recording, rig
from bench.lib.movement import Fleet, matrix
from kpwatch.remote_write import snappy, v1

AT_MS = 1_800_000_000_123
LIMIT_BYTES = 64 << 20


def samples_of(content: bytes) -> dict[bytes, list[tuple[int, float]]]:
    return {one.label_block: one.samples for one in v1.decode_series(content)}


def test_the_recording_is_one_kube_proxy_whose_series_stay() -> None:
    """862 series in each of 79 bodies; only values differ."""
    recorded = recording.load()
    assert (len(recorded.bodies), recorded.series) == (79, 862)
    heads = {tuple(line.rpartition(b" ")[0] for line in body.split(b"\n")) for body in recorded.bodies}
    assert len(heads) == 1


def test_a_request_made_from_a_template_is_the_agents_own_to_the_byte() -> None:
    """For every body of the recording."""
    made = bodies.OwnBodies(7)
    for body, values in zip(recording.load().bodies[::13], matrix().values[::13], strict=True):
        assert made.content(AT_MS, values) == bodies.encoded_scrape(7, body, AT_MS)
        assert snappy.decompress(made.request(AT_MS, values), LIMIT_BYTES) == made.content(AT_MS, values)


def test_foreign_requests_carry_the_same_samples() -> None:
    """Packed otherwise, not one more or less."""
    fleet = Fleet(3)
    values = fleet.advance()
    foreign = bodies.ForeignBodies(3)
    requests = [*foreign.requests([AT_MS, AT_MS + 1, AT_MS + 2], values), *foreign.rest()]
    got: dict[bytes, list[tuple[int, float]]] = {}
    for _, request in requests:
        got |= samples_of(snappy.decompress(request, LIMIT_BYTES))
    wanted: dict[bytes, list[tuple[int, float]]] = {}
    for number in range(3):
        wanted |= samples_of(bodies.OwnBodies(number).content(AT_MS + number, values[number]))
    assert got == wanted


def test_a_fleet_moves_as_the_recording_does() -> None:
    """About a fifth of the series a scrape; counters never fall."""
    fleet = Fleet(20)
    scrapes = np.array([fleet.advance() for _ in range(40)])
    moving = (scrapes[1:] != scrapes[:-1]).mean()
    assert 0.17 < moving < 0.25
    assert (np.diff(scrapes[:, :, matrix().grows], axis=0) >= 0).all()


def test_targets_answer_in_the_pieces_in_which_gos_server_sends() -> None:
    """Chunks of at most an encoder's buffer, and gzip for who asks."""
    body = recording.load().bodies[0]
    chunks = list(rig.go_chunks(body))
    assert b"".join(chunks) == body
    assert max(map(len, chunks)) <= 4096
    assert min(map(len, chunks[:-1])) >= 2048
    gzipped = rig.answer_bytes(body, gzipped=True).partition(b"\r\n\r\n")[2].partition(b"\r\n")[2]
    assert gzip.decompress(gzipped.removesuffix(b"\r\n0\r\n\r\n")) == body
