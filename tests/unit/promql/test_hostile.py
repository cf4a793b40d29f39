"""Whatever is asked, the answer is a result or one of our errors."""

from __future__ import annotations

import contextlib
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kpwatch.base.errors import QueryError
from kpwatch.promql.engine import Engine, EngineOptions
from kpwatch.promql.functions import FUNCTIONS
from tests.promql.script import Eval, read_script
from tests.unit.promql.build import source_of

SCRIPTS = Path(__file__).resolve().parents[2] / "promql" / "data"
QUERIES = sorted(
    {
        command.query
        for path in sorted(SCRIPTS.glob("*.test"))
        for command in read_script(path.read_text())
        if isinstance(command, Eval)
    }
)
ENGINE = Engine(
    source_of(
        """
        m{a="1",le="1"} 1 2 _ 0 5 stale 7 8
        m{a="1",le="+Inf"} 3 4 NaN Inf 5 stale 9 -Inf
        m{a="2",le="x"} _ _ _ 1e308 -1e308 1e308
        n{a="1"} 1+1x8
        """
    ),
    EngineOptions(max_samples=200_000, timeout_seconds=20),
)

SCALARS = st.sampled_from(["0", "1", "-1", "NaN", "Inf", "-Inf", "0.5", "1e308", "time()", "scalar(m)", "1_0", "5m"])
SELECTORS = st.sampled_from(
    ["m", "n", "nosuch", 'm{a="1"}', '{__name__=~"m|n"}', "m offset -5m", "m @ 120", "n @ end()", "m @ -1"]
)
WINDOWS = st.sampled_from(["[1m]", "[5m]", "[90s]", "[1ms]", "[5m:1m]", "[10m:]", "[3m:7s]"])
GROUPINGS = st.sampled_from(["", " by (a)", " without (le)", " by (__name__)", " by (a, nosuch)"])
MATCHINGS = st.sampled_from(["", " on(a)", " ignoring(le)", " on()", " on(a) group_left", " on(a) group_right(le)"])
OPERATORS = st.sampled_from(["+", "-", "*", "/", "%", "^", "atan2", "==", ">", "<= bool", "and", "or", "unless"])
AGGREGATIONS = st.sampled_from(["sum", "avg", "min", "max", "count", "group", "stddev", "stdvar"])
CHOICES = st.sampled_from(["topk", "bottomk", "quantile", "limitk", "limit_ratio"])
NAMES = st.sampled_from(sorted(FUNCTIONS))


def _bigger(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.one_of(
        st.builds("({})".format, inner),
        st.builds("-{}".format, inner),
        st.builds("{} {}{} {}".format, inner, OPERATORS, MATCHINGS, inner),
        st.builds("{} {} {}".format, inner, OPERATORS, SCALARS),
        st.builds("{}{} ({})".format, AGGREGATIONS, GROUPINGS, inner),
        st.builds("{}{} ({}, {})".format, CHOICES, GROUPINGS, SCALARS, inner),
        st.builds("{}({})".format, NAMES, inner),
        st.builds("{}({}, {})".format, NAMES, SCALARS, inner),
        st.builds("{}({}, {})".format, NAMES, inner, SCALARS),
        st.builds("{}({}{})".format, NAMES, inner, WINDOWS),
        st.builds("{}({}{}, {})".format, NAMES, inner, WINDOWS, SCALARS),
        st.builds(
            'label_replace({}, "a", "$1", "{}", "{}")'.format, inner, SCALARS, st.sampled_from([".*", "(.)", "("])
        ),
        st.builds('count_values("{}", {})'.format, st.sampled_from(["v", "a", ""]), inner),
    )


SENTENCES = st.recursive(st.one_of(SCALARS, SELECTORS), _bigger, max_leaves=8)


@st.composite
def mutations(draw: st.DrawFn) -> str:
    """A query of the test scripts with pieces cut, doubled, swapped or strange."""
    text = draw(st.sampled_from(QUERIES))
    for _ in range(draw(st.integers(1, 4))):
        first, second = sorted((draw(st.integers(0, len(text))), draw(st.integers(0, len(text)))))
        middle = draw(
            st.one_of(
                st.just(""),
                st.just(text[first:second] * 2),
                st.text(max_size=3),
                st.sampled_from(list("(){}[],\"'`@:_")),
            ),
        )
        text = text[:first] + middle + text[second:]
    return text


def ask(query: str) -> None:
    """At one time and over a range; our errors are answers."""
    with contextlib.suppress(QueryError):
        ENGINE.instant(query, 240_000)
    with contextlib.suppress(QueryError):
        ENGINE.range(query, 0, 480_000, 60_000)


@given(SENTENCES)
@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_a_sentence_of_the_grammar_is_answered(query: str) -> None:
    """Well-formed nearly always, sensible seldom."""
    ask(query)


@given(mutations())
@settings(max_examples=300, deadline=None)
def test_a_damaged_query_is_answered(query: str) -> None:
    """Mostly refused."""
    ask(query)
