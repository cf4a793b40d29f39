"""What `--test` shows of a body: the original's samples, in its order, in its words."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import pytest
from prometheus_client.parser import text_string_to_metric_families

from kpwatch.exposition.categraf_view import format_line, view
from kpwatch.exposition.text import parse
from kpwatch.model.gofloat import format_g
from kpwatch.relabel.identity import Identity

if TYPE_CHECKING:
    from pathlib import Path

IDENTITY = Identity(url_labels=(("instance", "http://n:1/metrics"),), labels=(("job", "kp"),), hostname="n")
AROUND = "agent_hostname=n instance=http://n:1/metrics job=kp"

BODIES = [
    ('# TYPE a counter\na 1\na{z="x y"} 2.5\n', [f"a {AROUND} 1", f"a {AROUND} z=x y 2.5"]),
    ("# TYPE a counter\na NaN\n# TYPE g gauge\ng NaN\nu NaN\nv +Inf\n", [f"v {AROUND} +Inf"]),
    (
        '# TYPE h histogram\nh_bucket{le="0.50"} 1\nh_bucket{le="1e6"} 2\nh_bucket{le="+Inf"} 3\nh_sum 4\nh_count 3\n',
        [
            f"h_count {AROUND} 3",
            f"h_sum {AROUND} 4",
            f"h_bucket {AROUND} le=+Inf 3",
            f"h_bucket {AROUND} le=0.5 1",
            f"h_bucket {AROUND} le=1e+06 2",
        ],
    ),
    (
        '# TYPE h histogram\nh_bucket{a="1",le="1"} 1\nh_bucket{a="2",le="1"} 2\nh_count{a="2"} 2\nh_count{a="1"} 1\n',
        [
            f"h_count a=1 {AROUND} 1",
            f"h_sum a=1 {AROUND} 0",
            f"h_bucket a=1 {AROUND} le=+Inf 1",
            f"h_bucket a=1 {AROUND} le=1 1",
            f"h_count a=2 {AROUND} 2",
            f"h_sum a=2 {AROUND} 0",
            f"h_bucket a=2 {AROUND} le=+Inf 2",
            f"h_bucket a=2 {AROUND} le=1 2",
        ],
    ),
    (
        '# TYPE s summary\ns{quantile="0.5"} NaN\ns{quantile="1"} 2\ns_sum NaN\ns_count 0\n',
        [
            f"s_count {AROUND} 0",
            f"s_sum {AROUND} NaN",
            f"s {AROUND} quantile=0.5 NaN",
            f"s {AROUND} quantile=1 2",
        ],
    ),
    ("# TYPE x_count gauge\nx_count 1\n", [f"x_count {AROUND} 1"]),
    ("b 1\na 1\n", [f"b {AROUND} 1", f"a {AROUND} 1"]),
    ('a{instance="mine",job="mine"} 1\n', [f"a {AROUND} 1"]),
    ('{"a.b-c"} 1\n', [f"a_b_c {AROUND} 1"]),
]


def printed(body: bytes) -> list[str]:
    """The lines without their time."""
    lines = []
    for name, labels, value, family, kind, _ in view(parse(body)):
        shown = IDENTITY.printed(name, labels, family, kind)
        lines.append(format_line(shown, value, local_time="-", unix_seconds=0, dialect="v0.2").removeprefix("- "))
    return lines


@pytest.mark.parametrize(("body", "lines"), BODIES)
def test_bodies(body: str, lines: list[str]) -> None:
    """Family by family, labels sorted as whole k=v strings."""
    assert printed(body.encode()) == lines


def test_dialects() -> None:
    """The article's line, and the one of newer versions."""
    labels = (("__name__", "a"), ("x", "1"))
    arguments = {"local_time": "13:30:17", "unix_seconds": 1667971817}
    assert format_line(labels, 1e6, dialect="v0.2", **arguments) == "13:30:17 a x=1 1e+06"  # type: ignore[arg-type]
    assert format_line(labels, 0.5, dialect="v0.4", **arguments) == "1667971817 13:30:17 a x=1 0.5"  # type: ignore[arg-type]


def test_every_capture_is_shown_whole(captures: list[Path]) -> None:
    """Name and value of every sample an independent parser finds, each once, NaN of plain families left out."""
    for path in captures:
        body = path.read_bytes()
        expected = sorted(
            f"{sample.name} {format_g(sample.value)}"
            for family in text_string_to_metric_families(body.decode())
            for sample in family.samples
            if family.type in ("histogram", "summary") or not math.isnan(sample.value)
        )
        shown = sorted(f"{line.split(' ')[0]} {line.split(' ')[-1]}" for line in printed(body))
        assert shown == expected, path.name
