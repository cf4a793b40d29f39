"""`kpwatch query`: one PromQL query to a hub, or to any server with Prometheus' API, as a table, JSON or CSV."""

from __future__ import annotations

import argparse
import csv
import json
import sys
from datetime import datetime
from typing import TYPE_CHECKING, Any, NamedTuple

from kpwatch.base.clock import SYSTEM_CLOCK
from kpwatch.base.durations import parse_prometheus
from kpwatch.base.errors import UsageError
from kpwatch.doctor.prometheus_api import ask_server

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

_EPILOG = """\
  kpwatch query 'up{job="kube-proxy"}'
  kpwatch query 'sum by (ident) (rate(rest_client_requests_total[5m]))'
  kpwatch query up --range 1h --step 1m --format csv > up.csv
  kpwatch query --url http://user:secret@hub.example:19000 'count by (git_version) (kubernetes_build_info)'
  kpwatch query --url http://127.0.0.1:17000/prometheus up         any Prometheus-compatible server

Exit code: 0 with an answer (an empty one too), 1 where the server cannot answer, 2 for a wrong command line.
"""
_ANSWER_LIMIT_BYTES = 1 << 30
_METRIC = "__name__"


class Line(NamedTuple):
    """One sample of the answer; `seconds` as the server wrote it."""

    labels: dict[str, str]
    seconds: str
    value: str


def main(arguments: list[str]) -> int:
    """Ask and print; 0, or what errors make of it."""
    given = _parser().parse_args(arguments)
    path, parameters = _request(given)
    answer = ask_server(given.url, path, parameters, given.timeout)
    for warning in [*answer.get("warnings", []), *answer.get("infos", [])]:
        print(f"kpwatch: the server warns: {warning}", file=sys.stderr)
    _FORMATS[given.format](answer["data"])
    return 0


def _request(given: argparse.Namespace) -> tuple[str, dict[str, str]]:
    if given.range is None:
        if given.step is not None:
            raise UsageError("--step needs --range")
        return "/api/v1/query", {"query": given.query} | ({"time": given.time} if given.time else {})
    end = float(given.time) if given.time else SYSTEM_CLOCK.unix_seconds()
    step = given.step if given.step is not None else max(given.range / 250, 1.0)
    return "/api/v1/query_range", {
        "query": given.query,
        "start": f"{end - given.range:.3f}",
        "end": f"{end:.3f}",
        "step": f"{step:g}",
    }


def lines(data: dict[str, Any]) -> list[Line]:
    """Every sample of an answer of any type."""
    result = data["result"]
    if data["resultType"] in ("scalar", "string"):
        return [Line({}, str(result[0]), result[1])]
    return [
        Line(series["metric"], str(seconds), value)
        for series in result
        for seconds, value in ([series["value"]] if "value" in series else series.get("values", []))
    ]


def _label_names(answer: Iterable[Line]) -> list[str]:
    """`__name__` first, the others sorted."""
    return sorted({name for line in answer for name in line.labels}, key=lambda name: (name != _METRIC, name))


def _print_table(data: dict[str, Any]) -> None:
    answer = lines(data)
    is_range = data["resultType"] == "matrix"
    names = _label_names(answer)
    head = [*names, *(["time"] if is_range else []), "value"]
    rows = [
        [*(line.labels.get(name, "") for name in names), *([_local(line.seconds)] if is_range else []), line.value]
        for line in answer
    ]
    for row in _aligned([head, *rows]):
        print(row)
    print(f"({len(answer)} {'sample' if len(answer) == 1 else 'samples'})")


def _aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  ".join([*map(str.ljust, row[:-1], widths[:-1]), row[-1].rjust(widths[-1])]).rstrip() for row in rows]


def _local(seconds: str) -> str:
    return datetime.fromtimestamp(float(seconds)).astimezone().isoformat(" ", "seconds")


def _print_csv(data: dict[str, Any]) -> None:
    answer = lines(data)
    names = _label_names(answer)
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow([*names, "time", "value"])
    writer.writerows([*(line.labels.get(name, "") for name in names), line.seconds, line.value] for line in answer)


def _print_json(data: dict[str, Any]) -> None:
    print(json.dumps(data, ensure_ascii=False, indent=2))


_FORMATS: dict[str, Callable[[dict[str, Any]], None]] = {"table": _print_table, "json": _print_json, "csv": _print_csv}


def _seconds(text: str) -> float:
    try:
        seconds = parse_prometheus(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text!r}: {error}") from error
    if seconds <= 0:
        raise argparse.ArgumentTypeError(f"{text!r}: expected more than 0")
    return seconds


def _unix_seconds(text: str) -> str:
    try:
        return f"{float(text):.3f}"
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text!r}: expected Unix seconds") from error


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="kpwatch query",
        description="Ask a hub, or any server with Prometheus' API, a PromQL query.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("query", metavar="PROMQL")
    parser.add_argument("--url", default="http://127.0.0.1:19000", help="default http://127.0.0.1:19000")
    parser.add_argument("--time", type=_unix_seconds, metavar="SECONDS", help="evaluate then (default now)")
    parser.add_argument("--range", type=_seconds, metavar="DURATION", help="over a stretch of time, such as 1h")
    parser.add_argument(
        "--step", type=_seconds, metavar="DURATION", help="with --range: one value each (default 1/250)"
    )
    parser.add_argument("--format", choices=sorted(_FORMATS), default="table", help="default table")
    parser.add_argument("--timeout", type=_seconds, default="2m", metavar="DURATION", help="default 2m")
    return parser
