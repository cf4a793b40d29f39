"""Prometheus' JSON, character for character."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kpwatch.api.answers import ERRORS, failure, query_answer, seconds_text, value_text
from kpwatch.base.errors import (
    BadQuery,
    QueryFailed,
    QueryTimeout,
    QueryTooLarge,
    StoreClosed,
    StoreFull,
    StoreOverloaded,
    TooBusy,
    TooLarge,
)
from kpwatch.model.gofloat import format_json
from kpwatch.model.results import Matrix, MatrixSeries, QueryResult, Scalar, String, Vector

LABELS = (("__name__", "m"), ("path", 'a"\\\n<节>'))


@pytest.mark.parametrize(
    ("unix_ms", "text"),
    [(0, "0"), (1000, "1"), (1, "0.001"), (1435781451781, "1435781451.781"), (100, "0.100"), (-1500, "-1.500")],
)
def test_timestamps(unix_ms: int, text: str) -> None:
    """Seconds, with three decimals or none."""
    assert seconds_text(unix_ms) == text


@given(st.floats())
def test_values_are_written_as_the_slow_writer_does(value: float) -> None:
    """The short cut through repr never shows (property)."""
    assert value_text(value) == format_json(value)


@pytest.mark.parametrize(
    ("value", "data"),
    [
        (Scalar(4000, 2.0), '{"resultType":"scalar","result":[4,"2"]}'),
        (String(4000, 'a"b'), '{"resultType":"string","result":[4,"a\\"b"]}'),
        (Vector(4000, []), '{"resultType":"vector","result":[]}'),
        (
            Vector(4500, [(LABELS, math.inf)]),
            '{"resultType":"vector","result":[{"metric":{"__name__":"m","path":"a\\"\\\\\\n<节>"},"value":[4.500,"+Inf"]}]}',
        ),
        (
            Matrix([MatrixSeries((("a", "b"),), np.array([1000, 2500]), np.array([0.0, -0.0]))]),
            '{"resultType":"matrix","result":[{"metric":{"a":"b"},"values":[[1,"0"],[2.500,"-0"]]}]}',
        ),
        (
            Matrix([MatrixSeries((), np.array([1, 2]), np.array([math.nan, 1e-7]))]),
            '{"resultType":"matrix","result":[{"metric":{},"values":[[0.001,"NaN"],[0.002,"1e-07"]]}]}',
        ),
    ],
)
def test_results(value: object, data: str) -> None:
    """Every type, as Prometheus writes it, and JSON."""
    body = query_answer(QueryResult(value)).body.decode()
    assert body == '{"status":"success","data":' + data + "}"
    json.loads(body)


def test_warnings_infos_and_a_limit() -> None:
    """Cut results say so."""
    vector = Vector(0, [(((("a", str(number)),)), 1.0) for number in range(5)])
    answer = json.loads(query_answer(QueryResult(vector, ["w"], ["i"]), 2).body)
    assert len(answer["data"]["result"]) == 2
    assert answer["warnings"] == ["w", "results truncated due to limit"]
    assert answer["infos"] == ["i"]
    matrix = Matrix([MatrixSeries((("a", str(n)),), np.array([1]), np.array([1.0])) for n in range(3)])
    assert len(json.loads(query_answer(QueryResult(matrix), 1).body)["data"]["result"]) == 1


@pytest.mark.parametrize(
    ("error", "status", "kind"),
    [
        (BadQuery("x"), 400, "bad_data"),
        (QueryFailed("x"), 422, "execution"),
        (QueryTooLarge("x"), 422, "execution"),
        (QueryTimeout("x"), 503, "timeout"),
        (TooBusy("x"), 503, "unavailable"),
        (TooLarge("x"), 413, "bad_data"),
        (StoreClosed("x"), 503, "unavailable"),
        (StoreFull("x"), 500, "internal"),
        (StoreOverloaded("x"), 500, "internal"),
    ],
)
def test_errors(error: Exception, status: int, kind: str) -> None:
    """The table of errors, from outside."""
    answer = failure(error)
    assert answer.status == status
    assert json.loads(answer.body) == {"status": "error", "errorType": kind, "error": "x"}


def test_a_mistake_of_ours_keeps_its_details_to_the_log() -> None:
    """A client learns that it failed, not where the code lies."""
    answer = failure(KeyError("/secret/path"))
    assert answer.status == 500
    assert b"secret" not in answer.body


def test_no_row_of_the_error_table_is_hidden() -> None:
    """The first row that fits counts, so a base must come after what it is the base of."""
    for place, (kind, _, _) in enumerate(ERRORS):
        assert not any(issubclass(kind, earlier) for earlier, _, _ in ERRORS[:place]), kind
