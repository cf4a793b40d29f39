"""What --test and -debug print of a scrape."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from kpwatch.relabel.identity import Identity
from kpwatch.relabel.options import EnumRule, LabelLimits, SampleRules
from kpwatch.scrape.about import OwnSample
from kpwatch.scrape.fetch import ScrapeError
from kpwatch.scrape.options import TargetOptions
from kpwatch.scrape.printer import Printed, SamplePrinter
from kpwatch.scrape.target import Outcome

if TYPE_CHECKING:
    from kpwatch.exposition.formats import Format

T0_MS = 1_700_000_000_000


def printed(
    body: bytes | ScrapeError,
    *,
    rules: SampleRules | None = None,
    limit: int = 0,
    body_format: Format = "text",
    honor_timestamps: bool = True,
) -> tuple[list[str], Printed]:
    """Lines with seconds since T0 instead of the time of day, and what was wrong."""
    lines: list[str] = []
    identity = Identity(labels=(("job", "j"),), rules=rules or SampleRules())
    options = TargetOptions("http://n:1/metrics", sample_limit=limit, honor_timestamps=honor_timestamps)
    printer = SamplePrinter(options, identity, print_line=lines.append, dialect="v0.4")
    result = printer.print_scrape(Outcome(T0_MS, 0.1, body, body_format))
    printer.print_own(T0_MS, [OwnSample("kpwatch_healthz_up", (), 1)])
    seconds_and_rest = [line.split(" ", 2) for line in lines]
    return [f"{int(seconds) - T0_MS // 1000} {rest}" for seconds, _, rest in seconds_and_rest], result


OWN = "0 kpwatch_healthz_up job=j 1"

BODIES = [
    # body, what is printed between `up` and our own
    (b"a 1\nb 2\n", ["0 a job=j 1", "0 b job=j 2"]),
    (b"a NaN\nb NaN\n", []),
    (b"a 1 1700000005000\n", ["5 a job=j 1"]),
    (b"a 1 0\nb 2 -5\n", ["0 a job=j 1", "0 b job=j 2"]),
]


@pytest.mark.parametrize(("body", "between"), BODIES)
def test_a_body(body: bytes, between: list[str]) -> None:
    """`up` 1 wherever a body could be read, even if no sample of it is shown."""
    lines, result = printed(body)
    assert lines == ["0 up job=j 1", *between, OWN]
    assert result == Printed(None, [])


FAILURES = [
    (ScrapeError("refused", "no"), 0, "refused"),
    (b"", 0, "not_metrics"),
    (b"<html>", 0, "not_metrics"),
    (b"a 1\nb 1\nc 1\n", 2, "sample_limit"),
]


@pytest.mark.parametrize(("body", "limit", "reason"), FAILURES)
def test_nothing_to_read(body: bytes | ScrapeError, limit: int, reason: str) -> None:
    """`up` 0 alone, where a scrape that is sent would say so too."""
    lines, result = printed(body, limit=limit)
    assert lines == ["0 up job=j 0", OWN]
    assert result.error is not None
    assert result.error.reason == reason


def test_the_same_sample_twice_counts_once_for_the_limit() -> None:
    """As it does where it is sent."""
    lines, _ = printed(b"a 1\na 1\nb 1\n", limit=2)
    assert lines[0] == "0 up job=j 1"


OPENMETRICS = [
    # body, options, what is printed between `up` and our own
    (
        b"# TYPE a counter\na_total 1 1700000005 # {} 1\na_created 3\n# EOF\n",
        {},
        ["5 a_total job=j 1", "0 a_created job=j 3"],
    ),
    (b"# TYPE a counter\na_total 1 1700000005\n# EOF\n", {"honor_timestamps": False}, ["0 a_total job=j 1"]),
    (b'# TYPE a info\na_info{b="c"} 1\n# EOF\n', {}, ["0 a_info b=c job=j 1"]),
    (b"# EOF\n", {}, []),
    (b"a_total 1\n", {}, "bad_openmetrics"),
    (b"a 1\n# EOF\n", {"rules": SampleRules(label_limits=LabelLimits(labels=1))}, "label_limit"),
]


@pytest.mark.parametrize(("body", "options", "between"), OPENMETRICS)
def test_openmetrics(body: bytes, options: dict, between: list[str] | str) -> None:
    """Printed as it would be sent, or the reason why nothing would."""
    lines, result = printed(body, body_format="openmetrics", **options)
    if isinstance(between, str):
        assert lines == ["0 up job=j 0", OWN]
        assert result.error is not None
        assert result.error.reason == between
    else:
        assert lines == ["0 up job=j 1", *between, OWN]
        assert result == Printed(None, [])


def test_broken_lines_are_handed_back() -> None:
    """The rest is printed."""
    lines, result = printed(b"a 1\n}{\n")
    assert lines == ["0 up job=j 1", "0 a job=j 1", OWN]
    assert [error.line_number for error in result.broken_lines] == [2]


def test_rules_count() -> None:
    """What is left out is not printed; names and values are those that would be sent."""
    rules = SampleRules(
        metrics_drop=("b", "kpwatch_*"), metrics_name_prefix="x_", enums=(EnumRule(("a", "up"), (("1", 9.5),)),)
    )
    lines, _ = printed(b"a 1\nb 2\n", rules=rules)
    assert lines == ["0 x_up job=j 9.5", "0 x_a job=j 9.5"]
