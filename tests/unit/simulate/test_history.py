"""A simulated node's past is stored as its live agent would have stored it."""

from __future__ import annotations

import math

import pytest

from kpwatch.base.http import Answer
from kpwatch.exposition.delta import DeltaParser
from kpwatch.exposition.text import parse
from kpwatch.model.labels import join_target
from kpwatch.receive.labels import admit
from kpwatch.receive.limits import ReceiveOptions
from kpwatch.relabel.identity import Identity
from kpwatch.remote_write import snappy
from kpwatch.remote_write.v1 import decode_labels, decode_series
from kpwatch.scrape.about import ABOUT_NAMES, OwnSample, ScrapeSize, about_scrape
from kpwatch.scrape.encoder import SeriesEncoder
from kpwatch.scrape.health_documents import read_healthz, read_livez
from kpwatch.scrape.target import Outcome
from kpwatch.simulate.faults import Fault
from kpwatch.simulate.history import frames
from kpwatch.simulate.node import NodeSpec, SimulatedNode

NOW = 1_795_003_600.0
URL_LABELS = (("instance", "http://127.206.0.7:10249/metrics"),)
IDENTITY = Identity(URL_LABELS, labels=(("job", "kube-proxy"),), hostname="10.206.0.7")


def node(capture: str, *faults: Fault) -> SimulatedNode:
    return SimulatedNode(NodeSpec("10.206.0.7", capture, NOW - 3600, faults=faults))


def sent_live(made: SimulatedNode, own: list[OwnSample]) -> dict[object, float]:
    """What is stored of a scrape at NOW that goes the whole way: text, agent, Remote Write, receiver."""
    encoder = SeriesEncoder(IDENTITY, "off")
    encoder.feed(DeltaParser().feed(made.metrics(NOW)))
    body = snappy.decompress(encoder.encode(int(NOW * 1000), own).block, 1 << 24)
    return {
        admit(decode_labels(series.label_block), ReceiveOptions(), host_is_ident=False): series.samples[0][1]
        for series in decode_series(body)
    }


@pytest.mark.parametrize("capture", ["1.36.3-iptables-churn", "1.26.0-iptables-churn", "1.34.9-nftables-churn"])
@pytest.mark.parametrize("faults", [(), (Fault("sync-failing", NOW - 600),)], ids=["healthy", "failing"])
def test_names_and_values_are_those_of_a_live_scrape(capture: str, faults: tuple[Fault, ...]):
    made = node(capture, *faults)
    [frame] = frames(made, IDENTITY, [int(NOW * 1000)])
    stored = {
        join_target(frame.target, column): value
        for column, value in zip(frame.layout.columns, frame.values.tolist(), strict=True)
    }
    body = made.metrics(NOW)
    size = ScrapeSize(Outcome(0, 0.005, body))
    size.samples = size.samples_kept = len(parse(body).samples)
    size.response_bytes = len(body)
    status, document = made.healthz(NOW)
    own = about_scrape(size, None) + read_healthz(Answer(status, {}, document.encode()), NOW).samples
    alive = made.livez(NOW)
    own += read_livez(Answer(alive[0], {}, alive[1].encode())).samples if alive else []
    own.append(OwnSample("kpwatch_proxy_mode_info", (("mode", made.proxy_mode),), 1))
    assert stored == pytest.approx(sent_live(made, own), nan_ok=True)


def test_the_target_is_where_it_is_scraped():
    [frame] = frames(node("1.36.3-iptables-churn"), IDENTITY, [int(NOW * 1000)])
    assert frame.target == (
        ("ident", "10.206.0.7"),
        ("instance", "http://127.206.0.7:10249/metrics"),
        ("job", "kube-proxy"),
    )
    assert frame.timestamp_ms == int(NOW * 1000)


def test_one_layout_serves_until_the_series_change():
    """The store resolves names once a layout."""
    made = node("1.36.3-iptables-churn", Fault("sync-failing", NOW - 600))
    layouts = {
        id(frame.layout) for frame in frames(made, IDENTITY, range(int(NOW - 900) * 1000, int(NOW) * 1000, 15_000))
    }
    assert 2 <= len(layouts) <= 4


def test_a_node_that_did_not_answer_was_down():
    made = node("1.36.3-iptables-churn", Fault("unreachable", NOW - 60))
    before, after = frames(made, IDENTITY, [int(NOW - 61) * 1000, int(NOW) * 1000])
    assert len(before.values) > 800
    said = {dict(column)["__name__"]: value for column, value in zip(after.layout.columns, after.values, strict=True)}
    assert set(said) == ABOUT_NAMES | {"scrape_error_info", "kpwatch_healthz_up", "kpwatch_livez_up"}
    assert said["up"] == said["kpwatch_healthz_up"] == 0


def test_a_node_whose_metrics_port_alone_is_shut_was_down_and_healthy():
    [frame] = frames(node("1.36.3-iptables-churn", Fault("metrics-refused", NOW - 60)), IDENTITY, [int(NOW) * 1000])
    said = {dict(column)["__name__"]: value for column, value in zip(frame.layout.columns, frame.values, strict=True)}
    assert (said["up"], said["kpwatch_healthz_up"]) == (0, 1)


def test_every_value_is_a_number():
    made = node("1.36.3-iptables-churn")
    assert not any(math.isnan(value) for frame in frames(made, IDENTITY, [int(NOW) * 1000]) for value in frame.values)
