"""Rules of an instance in what is sent: what is left out is counted and not sent, what is renamed or mapped is so."""

from __future__ import annotations

import struct
from collections import Counter

from hypothesis import given

from kpwatch.exposition.text import family_of, parse
from kpwatch.model.numbers import is_stale
from kpwatch.relabel.identity import Identity, on_the_wire
from kpwatch.relabel.options import EnumRule, SampleRules
from kpwatch.relabel.pipeline import Named, Pipeline
from kpwatch.relabel.rules import RelabelRule
from kpwatch.scrape.about import OwnSample
from kpwatch.scrape.encoder import SeriesEncoder
from tests.unit.exposition.bodies import body_sequences
from tests.unit.scrape.test_encoder import UP, OneTarget, bare
from tests.unit.scrape.wire import is_marker, named, sent, sent_in, series_bytes

RULES = SampleRules(
    ignore_metrics=("mm",),
    metrics_drop=("*_sum",),
    enums=(EnumRule(("m", "s", "up"), (("1", 100.0), ("NaN", 0.5))),),
    metrics_name_prefix="x_",
    relabel=(
        RelabelRule(("a",), regex="2", action="drop"),
        RelabelRule(("__name__",), regex="x_(m|up)", target_label="__name__", replacement="renamed_$1"),
    ),
)
IDENTITY = Identity(labels=(("job", "kube-proxy"),), hostname="node-a", rules=RULES)


@given(bodies=body_sequences())
def test_what_goes_out_is_what_the_pipeline_says(bodies: list[bytes | None]) -> None:
    """For every sample of every body, on the delta path as on the general one; what is left out is counted."""
    lasting = OneTarget(IDENTITY)
    pipeline = Pipeline(IDENTITY)
    for body in bodies:
        parsed = parse(body or b"")
        expected: dict[tuple[tuple[str, str], ...], bytes] = {}
        left_out: Counter[str] = Counter()
        for sample in {sample.head: sample for sample in reversed(parsed.samples)}.values():
            family = family_of(sample.name, parsed.types)
            result = pipeline.scraped(sample.name, sample.labels, family, parsed.types.get(family, "untyped"))
            if isinstance(result, str):
                left_out[result] += 1
            else:
                expected[on_the_wire(result.labels, "rename")] = valued(result, sample.value)
        up = pipeline.own("up", ())
        assert isinstance(up, Named)
        expected[on_the_wire(up.labels, "rename")] = valued(up, 1.0)
        fields = series_bytes(lasting.scrape(body))
        found = [sample for field in fields if not is_marker(field) for sample in sent_in(field)]
        assert Counter((sample.labels, sample.value) for sample in found) == Counter(expected.items())
        assert lasting.encoder.left_out == left_out


def valued(result: Named, value: float) -> bytes:
    """The eight bytes that go out."""
    return struct.pack("<d", result.value_of(value) if result.value_of else value)


def test_a_value_is_mapped_at_every_scrape() -> None:
    """Also where only the value changed, and for `up`."""
    one = bare(Identity(rules=SampleRules(enums=(EnumRule(("a", "up"), (("1", 10.0), ("2", 20.0))),))))
    assert named(one.scrape(b"a 1\nb 1\n")) == {"a": 10, "b": 1, "up": 10}
    assert named(one.scrape(b"a 2\nb 2\n")) == {"a": 20, "b": 2, "up": 10}
    assert named(one.scrape(b"a 3\nb 2\nc 1\n")) == {"a": 3, "b": 2, "c": 1, "up": 10}
    assert named(one.scrape(b"a 1 5\nb 2\nc 1\n"))["a"] == 10


def test_what_is_left_out_is_counted_at_every_scrape() -> None:
    """By the rule that leaves it out; a failed scrape leaves nothing out."""
    one = bare(Identity(rules=SampleRules(ignore_metrics=("a",), metrics_drop=("b*",))))
    for value in (b"1", b"2"):
        assert named(one.scrape(b"a " + value + b"\nb 2\nbb " + value + b"\nc 1\n")) == {"c": 1, "up": 1}
        assert one.encoder.left_out == {"ignore_metrics": 1, "metrics_drop": 2}
        assert one.encoder.left_out_slots == [0, 1, 2]
    assert is_stale(named(one.scrape(None))["c"])
    assert one.encoder.left_out == {}


def test_up_may_be_dropped() -> None:
    """metrics_pass without it, as in the original; our own samples stay."""
    one = bare(Identity(rules=SampleRules(metrics_pass=("a",))))
    own = (UP, OwnSample("kpwatch_healthz_up", (), 1))
    assert named(one.scrape(b"a 1\nb 1\n", own)) == {"a": 1, "kpwatch_healthz_up": 1}


def test_a_target_that_is_renamed_to_up_gives_way() -> None:
    """No series twice in one request, whatever the rules make of names."""
    rename = RelabelRule(("__name__",), regex="a", target_label="__name__", replacement="up")
    one = bare(Identity(rules=SampleRules(relabel=(rename,))))
    assert named(one.scrape(b"a 5\n")) == {"up": 1}
    assert one.encoder.duplicates == 1


def test_explicit_timestamps_are_cut_to_the_precision() -> None:
    """As all other timestamps are."""
    one = bare()
    one.encoder = SeriesEncoder(Identity(), "off", grain_ms=60_000)
    found = {dict(item.labels)["__name__"]: item.timestamp_ms for item in sent(one.scrape(b"a 1 1700000112345\n"))}
    assert found["a"] == 1_700_000_100_000
