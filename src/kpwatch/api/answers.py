"""Prometheus' JSON: the envelope, values, errors. Pure.

    {"status":"success","data":{"resultType":"vector","result":[{"metric":{…},"value":[1435781451.781,"1"]}]}}
    {"status":"error","errorType":"bad_data","error":"invalid parameter …"}

Results are written by hand: turning numbers into text is nearly all of the work (`points`), and timestamps are the same
for all series of a range query (one prefix `[1435781451.781,"` per step).
"""

from __future__ import annotations

import json
from itertools import chain
from typing import TYPE_CHECKING, Any, NamedTuple

import orjson

from kpwatch.api.points import PointsWriter, seconds_text, times_text, value_text
from kpwatch.base.asgi import JSON, Answer
from kpwatch.base.errors import (
    BadInput,
    BadQuery,
    Forbidden,
    KpwatchError,
    NotFound,
    QueryFailed,
    QueryTimeout,
    QueryTooLarge,
    StoreClosed,
    StoreError,
    TooBusy,
    TooLarge,
    UpstreamDown,
    UpstreamSlow,
)
from kpwatch.model.results import Matrix, QueryResult, Scalar, String, Vector
from kpwatch.promql.remembered import remembered

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from kpwatch.model.labels import Labels
    from kpwatch.model.results import MatrixSeries


# First row that fits: (error, HTTP status, errorType).
ERRORS: tuple[tuple[type[Exception], int, str], ...] = (
    (NotFound, 404, "not_found"),
    (Forbidden, 403, "forbidden"),
    (TooLarge, 413, "bad_data"),
    (BadInput, 400, "bad_data"),
    (BadQuery, 400, "bad_data"),
    (QueryTimeout, 503, "timeout"),
    (QueryTooLarge, 422, "execution"),
    (QueryFailed, 422, "execution"),
    (TooBusy, 503, "unavailable"),
    (UpstreamDown, 502, "unavailable"),
    (UpstreamSlow, 504, "timeout"),
    (StoreClosed, 503, "unavailable"),
    (StoreError, 500, "internal"),
)

SERIES_AT_ONCE = 512
"""Of a vector: what is written before anybody looks how long the answer has become."""
TRUNCATED = "results truncated due to limit"

_dump = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode


def success(data: Any, *, warnings: Sequence[str] = ()) -> Answer:
    """An answer whose data `json` can write."""
    return success_json([_dump(data).encode("utf-8", "surrogatepass")], warnings=warnings)


def success_json(data: Iterable[bytes], *, warnings: Sequence[str] = (), infos: Sequence[str] = ()) -> Answer:
    """An answer whose data is JSON already, in pieces."""
    parts = [b'{"status":"success","data":', *data]
    for name, notes in (("warnings", warnings), ("infos", infos)):
        if notes:
            parts.append(f',"{name}":{_dump(list(notes))}'.encode("utf-8", "surrogatepass"))
    parts.append(b"}")
    return Answer(200, b"".join(parts), JSON)


def bounded_bytes(rows: Iterable[str], bytes_max: int) -> Iterator[bytes]:
    """The rows as UTF-8; raises QueryTooLarge before they are more than `bytes_max` (0 = no bound) together."""
    size = 0
    for row in rows:
        text = row.encode("utf-8", "surrogatepass")
        size += len(text)
        if size > bytes_max > 0:
            raise QueryTooLarge(
                f"the answer is longer than {bytes_max} bytes (--query-max-answer); select fewer series, a shorter "
                "range or a longer step, or give limit="
            )
        yield text


def failure(error: Exception) -> Answer:
    """The answer to a request that could not be done."""
    status, kind = next(((code, kind) for which, code, kind in ERRORS if isinstance(error, which)), (500, "internal"))
    text = str(error) if isinstance(error, KpwatchError) else "internal error; the hub's log has the details"
    headers = (("retry-after", "1"),) if status == 503 else ()
    body = _dump({"status": "error", "errorType": kind, "error": text})
    return Answer(status, body.encode("utf-8", "replace"), JSON, headers)


class Spent(NamedTuple):
    """Where a query's time went, in seconds."""

    waiting: float
    evaluating: float


def query_answer(result: QueryResult, limit: int = 0, spent: Spent | None = None, bytes_max: int = 0) -> Answer:
    """The answer to a query; of more than `limit` series (0 = no limit) the first ones, with a warning.

    Where it was asked for (`stats`), what the query took is told too. Raises QueryTooLarge, see `bounded_bytes`.
    """
    value, warnings = result.value, list(result.warnings)
    if limit and isinstance(value, Vector) and len(value.samples) > limit:
        warnings.append(TRUNCATED)
        value = Vector(value.timestamp_ms, value.samples[:limit])
    elif limit and isinstance(value, Matrix) and len(value.series) > limit:
        warnings.append(TRUNCATED)
        value = Matrix(value.series[:limit])
    end = "}" if spent is None else f',"stats":{_dump(_stats(result, spent))}}}'
    rows = _small_vector(value) if isinstance(value, Vector) else None
    data = bounded_bytes((rows + end,) if rows is not None else chain(_result_rows(value), (end,)), bytes_max)
    return success_json(data, warnings=warnings, infos=result.infos)


def _stats(result: QueryResult, spent: Spent) -> dict[str, Any]:
    """As util/stats of Prometheus has them. Preparing is a part of evaluating here, results come sorted."""
    return {
        "timings": {
            "evalTotalTime": spent.evaluating,
            "resultSortTime": 0,
            "queryPreparationTime": 0,
            "innerEvalTime": spent.evaluating,
            "execQueueTime": spent.waiting,
            "execTotalTime": spent.waiting + spent.evaluating,
        },
        "samples": {"totalQueryableSamples": result.samples, "peakSamples": result.peak_samples},
    }


def labels_text(labels: Labels) -> str:
    """A label set as a JSON object."""
    try:
        return orjson.dumps(dict(labels)).decode()
    except orjson.JSONEncodeError:  # what is not UTF-8
        return _dump(dict(labels))


def _result_rows(value: Scalar | String | Vector | Matrix) -> Iterator[str]:
    """The result as JSON, but for the brace that ends it; a piece a series."""
    match value:
        case Scalar(timestamp_ms, number):
            yield f'{{"resultType":"scalar","result":[{seconds_text(timestamp_ms)},"{value_text(number)}"]'
        case String(timestamp_ms, text):
            yield f'{{"resultType":"string","result":[{seconds_text(timestamp_ms)},{_dump(text)}]'
        case Vector(timestamp_ms, samples):
            yield from _listed("vector", _vector_rows(timestamp_ms, samples))
        case Matrix(series):
            yield from _listed("matrix", map(_MatrixWriter().row, series))


def _small_vector(vector: Vector) -> str | None:
    """A vector as JSON, but for the brace that ends it, all at once; None where it is too long for that."""
    timestamp_ms, samples = vector
    if len(samples) > SERIES_AT_ONCE:
        return None
    return f'{{"resultType":"vector","result":[{_vector_row(timestamp_ms, samples)}]'


def _vector_rows(timestamp_ms: int, samples: Sequence[tuple[Labels, float]]) -> Iterator[str]:
    """The series of a vector, some at a time: a piece each would cost more than what is in it."""
    for first in range(0, len(samples), SERIES_AT_ONCE):
        yield _vector_row(timestamp_ms, samples[first : first + SERIES_AT_ONCE])


def _vector_row(timestamp_ms: int, samples: Sequence[tuple[Labels, float]]) -> str:
    if not samples:
        return ""
    texts = _labels_texts([labels for labels, _ in samples])
    between = f',"value":[{seconds_text(timestamp_ms)},"'
    values = [value_text(value) for _, value in samples]
    return ",".join([f'{{"metric":{text}{between}{value}"]}}' for text, value in zip(texts, values, strict=True)])


@remembered
def _labels_texts(many: Sequence[Labels]) -> list[str]:
    return list(map(labels_text, many))


def _listed(kind: str, rows: Iterable[str]) -> Iterator[str]:
    before = f'{{"resultType":"{kind}","result":['
    for row in rows:
        yield before
        yield row
        before = ","
    yield "]" if before == "," else before + "]"


class _MatrixWriter:
    """Writes the series of one answer; most of them, if not all, have points at the same times."""

    def __init__(self) -> None:
        self._writers: dict[bytes, PointsWriter] = {}

    def row(self, series: MatrixSeries) -> str:
        points = self._writer(series.timestamps_ms).points(series.values)
        return f'{{"metric":{labels_text(series.labels)},"values":[{points}]}}'

    def _writer(self, timestamps_ms: NDArray[np.int64]) -> PointsWriter:
        key = timestamps_ms.tobytes()
        writer = self._writers.get(key)
        if writer is None:
            writer = self._writers[key] = PointsWriter(times_text(timestamps_ms))
        return writer
