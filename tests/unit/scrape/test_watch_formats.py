"""What a running agent makes of the formats that targets answer in, and of the policies of a scrape."""

from __future__ import annotations

import gzip
from typing import TYPE_CHECKING

import pytest

from kpwatch.relabel.options import LabelLimits, SampleRules
from kpwatch.remote_write import snappy, v2
from tests.agents import RunningAgent, target, writer
from tests.receivers import LIMIT_BYTES, Receiver, is_v2
from tests.servers import Server, response, serves

if TYPE_CHECKING:
    from tests.receivers import Taken

OPENMETRICS = "application/openmetrics-text; version=1.0.0; charset=utf-8"

BODY = b"""\
# HELP c_seconds Work.
# TYPE c_seconds counter
# UNIT c_seconds seconds
c_seconds_total{a="1"} 5 # {trace="x"} 1
c_seconds_created{a="1"} 1700000000.5
# TYPE g gauge
g 1
# EOF
"""


def scraped(
    body: bytes,
    content_type: str = "text/plain; version=0.0.4; charset=utf-8",
    *,
    writes: str = "1.0",
    headers: dict[str, str] | None = None,
    **options: object,
) -> tuple[list[Taken], RunningAgent, Receiver, Server]:
    """What arrives of two scrapes of this page, and everybody who took part, at rest."""
    answer = response(body, Content_Type=content_type, **headers or {})
    with Server(serves(lambda _: answer)) as server, Receiver(speaks_v2=True) as receiver:
        with RunningAgent(
            [target(server.url(), **options)],
            [writer(receiver.url(), protocol=writes)],
        ) as agent:
            receiver.wait_for_samples(lambda taken: sum(one.name == "up" for one in taken) >= 2, "two scrapes")
        return receiver.taken, agent, receiver, server


def values(taken: list[Taken]) -> dict[str, float]:
    """The first value of every name but our own."""
    return {one.name: one.value for one in reversed(taken) if not one.name.startswith("scrape_")}


@pytest.mark.parametrize(
    "content_type", [OPENMETRICS, "application/openmetrics-text;version=0.0.1", "Application/OpenMetrics-Text"]
)
def test_openmetrics(content_type: str) -> None:
    """Its samples arrive, `_created` among them; exemplars are counted."""
    taken, agent, _, _ = scraped(BODY, content_type)
    assert values(taken) == {"up": 1, "c_seconds_total": 5, "c_seconds_created": 1700000000.5, "g": 1}
    assert agent.counted("exemplars_dropped") == agent.counted("scrapes")
    assert agent.counted("openmetrics_faults") == 0


def test_openmetrics_gzip() -> None:
    """Compressed as well."""
    taken, *_ = scraped(gzip.compress(BODY), OPENMETRICS, headers={"Content_Encoding": "gzip"})
    assert values(taken)["c_seconds_total"] == 5


def test_when_a_counter_began_goes_out_by_2_0() -> None:
    """With every sample of the counter, beside its unit, type and help."""
    _, _, receiver, _ = scraped(BODY, OPENMETRICS, writes="2.0")
    bodies = [snappy.decompress(one.body, LIMIT_BYTES) for one in receiver.requests if is_v2(one)]
    series = {dict(one.labels)["__name__"]: one for body in bodies for one in v2.decode_request(body)}
    assert series["c_seconds_total"].start_ms == 1_700_000_000_500
    assert series["c_seconds_total"].metadata == v2.Metadata("counter", "Work.", "seconds")
    assert {name for name, one in series.items() if one.start_ms} == {"c_seconds_total"}


def test_nothing_but_the_end_is_a_scrape() -> None:
    """A target without any metric says so with `# EOF`."""
    taken, *_ = scraped(b"# EOF\n", OPENMETRICS)
    assert values(taken) == {"up": 1}


BROKEN = [
    (b"g 1\n", "no # EOF at the end"),
    (b"g 1\n# EOF\ng 2\n", "text after # EOF"),
    (b"g 1\ng{a=b} 1\n# EOF\n", "line 2, column 5: expected a quoted value"),
    (b"g 1\n\n# EOF\n", "a blank line"),
]


@pytest.mark.parametrize(("body", "words"), BROKEN)
def test_a_broken_body_counts_as_a_whole(body: bytes, words: str) -> None:
    """One line that cannot be read, or no end, and the scrape has failed."""
    taken, agent, _, _ = scraped(body, OPENMETRICS)
    assert values(taken) == {"up": 0}
    assert {one.labels["reason"] for one in taken if one.name == "scrape_error_info"} == {"bad_openmetrics"}
    assert agent.counted("scrapes_failed", reason="bad_openmetrics") >= 2
    agent.wait_for_line(words)


def test_a_broken_rule_costs_no_sample() -> None:
    """It is counted and said once for the layout, however many scrapes there are."""
    taken, agent, _, _ = scraped(b"# TYPE c counter\nc_total -1\n# EOF\n", OPENMETRICS)
    assert values(taken) == {"up": 1, "c_total": -1}
    assert agent.counted("openmetrics_faults") == 1
    agent.wait_for_line("breaks rules of OpenMetrics, line 2: c_total of type counter is -1")


@pytest.mark.parametrize("escaping", ["", "; escaping=allow-utf-8", "; escaping=underscores", "; escaping=values"])
def test_text_1_0_0(escaping: str) -> None:
    """Quoted names are read whatever the escaping is called; a broken line costs only itself."""
    body = b'# TYPE "my.metric" counter\n{"my.metric","l.x"="x"} 1\n{"no} 1\nU__my_2e_other 2\n'
    taken, agent, _, _ = scraped(body, f"text/plain; version=1.0.0; charset=utf-8{escaping}")
    assert values(taken) == {"up": 1, "my_metric": 1, "U__my_2e_other": 2}
    assert next(one for one in taken if one.name == "my_metric").labels["l_x"] == "x"
    assert agent.counted("samples_dropped", reason="broken_line") == agent.counted("scrapes")


def test_protobuf_is_named() -> None:
    """Nobody asked for it, and it would look like a page of broken lines."""
    taken, agent, _, _ = scraped(b"\x0a\x01m", "application/vnd.google.protobuf; encoding=delimited")
    assert values(taken) == {"up": 0}
    agent.wait_for_line("the answer is protobuf")


ACCEPT = [
    ({}, (
        "text/plain;version=0.0.4;q=1,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.9,"
        "application/openmetrics-text;version=1.0.0;q=0.8,application/openmetrics-text;version=0.0.1;q=0.7,*/*;q=0.1"
    )),
    (
        {"scrape_protocols": ("OpenMetricsText1.0.0", "PrometheusText0.0.4")},
        "application/openmetrics-text;version=1.0.0;q=1,text/plain;version=0.0.4;q=0.9,*/*;q=0.1",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("options", "accept"), ACCEPT)
def test_what_is_asked_for(options: dict, accept: str) -> None:
    """Text 0.0.4 before all else, or what the instance says."""
    *_, server = scraped(b"m 1\n", **options)
    assert {request.headers["accept"] for request in server.requests} == {accept}


HONORED = [
    # honor_labels, what arrives of m{instance="own",job="own",x="own",y=""}
    (False, {"instance": "target", "job": "kp", "z": "kp", "y": "kp"}),
    (True, {"instance": "own", "job": "own", "x": "own", "z": "kp"}),
]


@pytest.mark.parametrize(("honor_labels", "labels"), HONORED)
def test_honor_labels(honor_labels: bool, labels: dict[str, str]) -> None:
    """Scraped labels win or lose against those of the URL and of `labels`; `up` has the target's in any case."""
    taken, *_ = scraped(
        b'm{instance="own",job="own",x="own",y=""} 1\n',
        labels=(("job", "kp"), ("x", "-"), ("z", "kp"), ("y", "kp")),
        rules=SampleRules(honor_labels=honor_labels),
    )
    (found,) = {tuple(one.labels.items()) for one in taken if one.name == "m"}
    assert {name: value for name, value in found if name not in ("__name__", "ident", "agent_hostname")} == labels
    assert {one.labels["job"] for one in taken if one.name == "up"} == {"kp"}


@pytest.mark.parametrize("body", [(b"m 1 1700000000000\n", "text/plain"), (b"m 1 1700000000\n# EOF\n", OPENMETRICS)])
@pytest.mark.parametrize("honored", [True, False])
def test_honor_timestamps(body: tuple[bytes, str], honored: bool) -> None:
    """A sample is of its own time, or of the time of the scrape."""
    taken, *_ = scraped(*body, honor_timestamps=honored)
    of_m = {one.timestamp_ms for one in taken if one.name == "m" and one.value == one.value}
    of_up = {one.timestamp_ms for one in taken if one.name == "up"}
    assert of_m == ({1_700_000_000_000} if honored else of_up)


LIMITS = [
    # options, reason, words of the log
    ({"sample_limit": 1}, "sample_limit", "2 samples, the limit is 1"),
    ({"body_limit_bytes": 10}, "too_large", "exceeds 10 bytes"),
    ({"rules": SampleRules(label_limits=LabelLimits(labels=3))}, "label_limit", "m has 4 labels, __name__ included"),
    (
        {"rules": SampleRules(label_limits=LabelLimits(name_bytes=15))},
        "label_name_length_limit",
        "label name 'a_name_that_is_long' of m has 19 bytes, the limit is 15",
    ),
    (
        {"rules": SampleRules(label_limits=LabelLimits(value_bytes=12))},
        "label_value_length_limit",
        "the value of label 'a_name_that_is_long' of m has 15 bytes, the limit is 12",
    ),
]


@pytest.mark.parametrize(("options", "reason", "words"), LIMITS)
def test_above_a_limit_the_scrape_fails(options: dict, reason: str, words: str) -> None:
    """As a whole, scrape by scrape; the reason is in the data, in the counter and in the log."""
    body = 'n 1\nm{a_name_that_is_long="节点节点节"} 1\n'.encode()
    taken, agent, _, _ = scraped(body, **options)
    assert values(taken) == {"up": 0}
    assert {one.labels["reason"] for one in taken if one.name == "scrape_error_info"} == {reason}
    assert agent.counted("scrapes_failed", reason=reason) >= 2
    assert agent.counted("scrapes") == 0
    agent.wait_for_line(words)


def test_at_a_limit_nothing_fails() -> None:
    """A limit is what is still allowed; what a rule leaves out is not judged."""
    limits = LabelLimits(labels=4, name_bytes=19, value_bytes=15)
    body = 'm{a_name_that_is_long="节点节点节"} 1\nd{a="1",b="2",c="3"} 1\n'.encode()
    taken, *_ = scraped(body, rules=SampleRules(label_limits=limits, metrics_drop=("d",)), sample_limit=2)
    assert values(taken) == {"up": 1, "m": 1}


def test_a_limit_ends_what_was_live() -> None:
    """Staleness markers for the series before, and all are back when the page is."""
    bodies = [b"m 1\n", b'm{a="1"} 1\n', b"m 2\n"]
    rules = SampleRules(label_limits=LabelLimits(labels=3))
    answers = iter([response(body) for body in bodies])

    def answer(_: object) -> bytes:
        return next(answers, response(bodies[-1]))

    with Server(serves(answer)) as server, Receiver() as receiver:
        with RunningAgent([target(server.url(), rules=rules)], [writer(receiver.url())]):
            receiver.wait_for_samples(
                lambda taken: sum(one.name == "m" and one.value == 2 for one in taken) >= 1, "the last page"
            )
        seen = ["stale" if one.value != one.value else one.value for one in receiver.taken if one.name == "m"]
    assert seen[:3] == [1, "stale", 2]
