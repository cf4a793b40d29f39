"""Our own metrics are counted by label and shown as text exposition."""

from __future__ import annotations

from kpwatch.base.telemetry import Registry
from kpwatch.exposition.text import parse


def test_one_child_per_label_set() -> None:
    """Asking again gives the same counter; other labels give another one."""
    registry = Registry()
    registry.counter("a_total", "A.", reason="x", url="u").add()
    registry.counter("a_total", "A.", url="u", reason="x").add(2)
    registry.counter("a_total", "A.", reason="y", url="u").add()
    assert sorted(registry.samples()) == [
        ("a_total", (("reason", "x"), ("url", "u")), 3.0),
        ("a_total", (("reason", "y"), ("url", "u")), 1.0),
    ]


def test_a_gauge_is_set_or_read() -> None:
    """A gauge with a function is asked when it is shown."""
    registry = Registry()
    waiting = [1, 2]
    registry.gauge("waiting", "W.", lambda: len(waiting))
    registry.gauge("set", "S.").set(5)
    waiting.append(3)
    assert {name: value for name, _, value in registry.samples()} == {"waiting": 3, "set": 5}


def test_rendered_text_reads_back() -> None:
    """What is shown is right by our own parser, escapes and all."""
    registry = Registry()
    assert registry.render() == ""
    registry.counter("b_total", "Bees.", url='a"b\\c\nd').add(0.1)
    registry.gauge("a", "A.").set(float("inf"))
    parsed = parse(registry.render().encode())
    assert parsed.errors == []
    assert parsed.types == {"a": "gauge", "b_total": "counter"}
    assert parsed.helps == {"a": "A.", "b_total": "Bees."}
    assert [(sample.name, dict(sample.labels), sample.value) for sample in parsed.samples] == [
        ("a", {}, float("inf")),
        ("b_total", {"url": 'a"b\\c\nd'}, 0.1),
    ]
