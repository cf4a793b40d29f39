#!/usr/bin/env python3
"""How long a dashboard waits: queries on 24 hours of kube-proxies, ours beside its peers over the same samples.

    bench/query.py [--targets 10] [--hours 24] [--repeats 5] [--only kpwatch,prometheus] [--out FILE]
    bench/query.py --targets 100                  the goals' size; loading takes most of an hour
    bench/query.py --keep FOLDER                  load once, ask again in the next run
    bench/query.py --moving                       each repeated question is of a later time, by a scrape

All stores get the same Remote Write requests first (bench/lib/{movement,bodies,sender}.py), then run side by side and
are asked in turn, so that what disturbs the machine disturbs all of them. Every query is asked at one instant and over
the whole time in STEPS steps, over a keep-alive connection, without compression.

*First* is the first time a started server sees a question, *repeated* the next times, both with nocache=1, as
VictoriaMetrics and we keep answers, and what is taken from there says nothing about evaluation. *Asked again* is the
same question for the same times as a client asks it, and each server may answer from what it keeps. Wall times are
medians, CPU is the server's own, per question.
"""

from __future__ import annotations

import argparse
import contextlib
import http.client
import json
import sys
import tempfile
import time
from pathlib import Path
from statistics import mean, median
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import urlencode

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from bench.hub_cost import CONNECTIONS, ENDED_BEFORE_SECONDS, INTERVAL_MS, Scenario, Stream, check_complete
from bench.lib import compare, page, process, recording
from bench.lib.process import BenchError
from bench.lib.sender import Sender
from bench.lib.stores import MEASURE, OURS, STORES, Running, Store

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bench.lib.programs import Found

STEPS = 1440
SCRAPES_PER_REQUEST = 48
PATIENCE_SECONDS = 120.0
SETTLE_SECONDS = 1.0

SYNC, PROGRAMMING, REST = (
    "kubeproxy_sync_proxy_rules_duration_seconds",
    "kubeproxy_network_programming_duration_seconds",
    "rest_client_request_duration_seconds",
)
KINDS = {"first": "first", "repeated": "repeated", "again": "asked again"}
"""Fields of Times with goals, and how they are called."""
ALL = 'job="kube-proxy",ident=~".*"'
ONE = 'ident="10.206.0.1"'

QUERIES = {
    "up": f"sum(up{{{ALL}}})",
    "sync rate": f"sum(rate({SYNC}_count{{{ALL}}}[5m]))",
    "sync p99, each": f"histogram_quantile(0.99, rate({SYNC}_bucket{{{ALL}}}[5m]))",
    "sync p99 by ident": f"histogram_quantile(0.99, sum by (ident, le) (rate({SYNC}_bucket[5m])))",
    "sync p99 of all": f"histogram_quantile(0.99, sum by (le) (rate({SYNC}_bucket[5m])))",
    "programming rate": f"sum(rate({PROGRAMMING}_count{{{ALL}}}[5m]))",
    "programming p99 by ident": (
        f"histogram_quantile(0.99, sum by (ident, le) (rate({PROGRAMMING}_bucket{{{ALL}}}[5m])))"
    ),
    "rest 2xx": f'sum(rate(rest_client_requests_total{{{ALL},code=~"2.."}}[5m]))',
    "rest 4xx": f'sum(rate(rest_client_requests_total{{{ALL},code=~"4.."}}[5m]))',
    "rest GET p99": f'histogram_quantile(0.99, sum by (verb, url, le) (rate({REST}_bucket{{{ALL},verb="GET"}}[5m])))',
    "memory": f"process_resident_memory_bytes{{{ALL}}}",
    "memory of one": f"process_resident_memory_bytes{{{ONE}}}",
    "cpu": f"rate(process_cpu_seconds_total{{{ALL}}}[5m])",
    "cpu of one": f"rate(process_cpu_seconds_total{{{ONE}}}[5m])",
    "goroutines": f"go_goroutines{{{ALL}}}",
    "pending": "max by (ident) (kubeproxy_sync_proxy_rules_endpoint_changes_pending)",
    "changes": "sum by (ident) (increase(kubeproxy_sync_proxy_rules_service_changes_total[5m]))",
    "restore failures": "increase(kubeproxy_sync_proxy_rules_iptables_restore_failures_total[1h])",
    "last sync age": "time() - kubeproxy_sync_proxy_rules_last_timestamp_seconds",
    "sync p99 of one": f"histogram_quantile(0.99, rate({SYNC}_bucket{{{ONE}}}[5m]))",
}
"""What dashboards of kube-proxy ask: Nightingale's board with `.*` for its variable, and the pages of one node."""


class Cost(NamedTuple):
    """Of one question, milliseconds."""

    wall: float
    cpu: float


class Times(NamedTuple):
    """Of one query to one store; how many series answered."""

    first: Cost
    repeated: Cost
    again: Cost
    series: int


class Server:
    """One loaded store, asked over one connection."""

    def __init__(self, running: Running) -> None:
        self.name = running.store.name
        self._running = running
        self._connection = http.client.HTTPConnection("127.0.0.1", running.port, timeout=PATIENCE_SECONDS)

    def ask(self, path: str, parameters: dict[str, object], *, anew: bool = True) -> tuple[Cost, int]:
        """What it took until the whole answer was here, and its number of series."""
        question = f"/api/v1/{path}?{urlencode({**parameters, **({'nocache': 1} if anew else {})})}"
        try:
            wall_ms, cpu_ms, answer, body = self._asked(question)
        except http.client.RemoteDisconnected:  # a server ends what was idle for a minute while others were slow
            self._connection.close()
            wall_ms, cpu_ms, answer, body = self._asked(question)
        if answer.status != 200:
            raise BenchError(f"{self.name} answered {answer.status} to {parameters}: {body[:300].decode()}")
        data: Any = json.loads(body)["data"]
        return Cost(wall_ms, cpu_ms), len(data["result"])

    def _asked(self, question: str) -> tuple[float, float, http.client.HTTPResponse, bytes]:
        cpu_seconds, began = self._running.program.cpu_seconds(), time.perf_counter()
        self._connection.request("GET", question)
        answer = self._connection.getresponse()
        body = answer.read()
        wall_ms = 1000 * (time.perf_counter() - began)
        return wall_ms, 1000 * (self._running.program.cpu_seconds() - cpu_seconds), answer, body


def load(stores: Sequence[tuple[Store, Found]], folder: Path, targets: int, scrapes: int) -> float:
    """All samples into all stores, unless the folder has them; gives the Unix time of the last."""
    note = folder / "loaded.json"
    wanted = {"targets": targets, "scrapes": scrapes, "stores": sorted(store.name for store, _ in stores)}
    if note.exists():
        known = json.loads(note.read_text())
        last_seconds: float = known.pop("last_seconds")
        if known == wanted:
            return last_seconds
        raise BenchError(f"{folder} holds {known}, not {wanted}; give another folder")
    last_ms = int(time.time() - ENDED_BEFORE_SECONDS) * 1000
    scenario = Scenario(targets, scrapes, scrapes_per_request=SCRAPES_PER_REQUEST)
    with contextlib.ExitStack() as stack:
        servers = [stack.enter_context(start(store, found, folder)) for store, found in stores]
        stream = Stream(scenario, last_ms)
        done = 0
        for part, requests in stream.parts():
            for server in servers:  # each with connections of its own: a store closes those that are idle
                sender = Sender(server.port, server.store.write, CONNECTIONS)
                sender.send([(lane, sender.frame(body)) for lane, body in requests])
                sender.close()
            done += part
            print(f"  loaded {done} of {scrapes} scrapes", file=sys.stderr)
        for server in servers:
            check_complete(server, stream, last_ms / 1000)
            server.program.end(PATIENCE_SECONDS)
    note.write_text(json.dumps({**wanted, "last_seconds": last_ms / 1000}))
    return last_ms / 1000


def start(store: Store, found: Found, folder: Path) -> Running:
    """The store with its own part of the folder."""
    own = folder / store.program
    own.mkdir(parents=True, exist_ok=True)
    return Running(store, found.path, own)


def measure(
    servers: Sequence[Server], path: str, query: str, times: dict[str, float], repeats: int, moves_seconds: float
) -> dict[str, Times]:
    """The same question to all, in turn; each repeated one so much later than the one before, as a page asks."""
    parameters: dict[str, object] = {"query": query, **times}
    first = {server.name: server.ask(path, parameters) for server in servers}
    repeated: dict[str, list[Cost]] = {server.name: [] for server in servers}
    again: dict[str, list[Cost]] = {server.name: [] for server in servers}
    for left in range(repeats, 0, -1):
        moved = {name: time - left * moves_seconds * (name != "step") for name, time in times.items()}
        for server in servers:
            repeated[server.name].append(server.ask(path, {"query": query, **moved})[0])
    for _ in range(repeats + 1):  # the first is to be kept
        for server in servers:
            again[server.name].append(server.ask(path, parameters, anew=False)[0])
    return {
        name: Times(cost, _typical(repeated[name]), _typical(again[name][1:]), series)
        for name, (cost, series) in first.items()
    }


def _typical(costs: Sequence[Cost]) -> Cost:
    """The median wall time, the mean CPU time: the clock of that is too coarse for one."""
    return Cost(median(one.wall for one in costs), mean(one.cpu for one in costs))


def table(results: dict[str, dict[str, Times]], kind: str) -> str:
    """A row a query: wall (CPU) milliseconds of one kind of asking, ours with its ratios to the measure."""
    names = list(next(iter(results.values())))
    rows = []
    for title, times in results.items():
        cells = [title, str(max(one.series for one in times.values()))]
        for name in names:
            cost: Cost = getattr(times[name], kind)
            text = f"{page.number(cost.wall)} ({page.number(cost.cpu)})"
            if name == OURS and MEASURE in times:
                beside: Cost = getattr(times[MEASURE], kind)
                text += f" {cost.wall / beside.wall:.2f}x ({cost.cpu / beside.cpu:.2f}x)"
            cells.append(text)
        rows.append(cells)
    return page.table(("query", "series", *(f"{name}, ms" for name in names)), rows)


def goals(results: dict[str, dict[str, dict[str, Times]]]) -> str:
    """What was wanted of the set."""
    rows = []
    for shape, queries in results.items():
        for kind, shown in KINDS.items():
            for field, unit in (("wall", ""), ("cpu", ", CPU")):
                for name, most, statistic in ((MEASURE, 1.0, median), ("prometheus", 0.4, median), (MEASURE, 2.0, max)):
                    ratios = [
                        getattr(getattr(times[OURS], kind), field) / getattr(getattr(times[name], kind), field)
                        for times in queries.values()
                        if {OURS, name} <= times.keys()
                    ]
                    if ratios:
                        measured = statistic(ratios)
                        what = "median" if statistic is median else "slowest"
                        verdict = "reached" if measured <= most else "not reached"
                        goal = f"{shape}, {shown}{unit}: {what} beside {name}"
                        rows.append((goal, f"<= {most:g}x", f"{measured:.2f}x", verdict))
    return page.table(("goal", "wanted", "measured", ""), rows)


def parse_arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    compare.add_options(parser, [(store.name, store.program) for store in STORES], rounds=1)
    parser.add_argument("--targets", type=int, default=10)
    parser.add_argument("--hours", type=float, default=24.0)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--query", default="", help="only queries whose name has this")
    parser.add_argument("--moving", action="store_true", help="ask each repeated question of a later time")
    parser.add_argument("--keep", default="", metavar="FOLDER", help="keep what is loaded, or take what is kept")
    return parser.parse_args()


def main() -> int:
    """Load, ask, show."""
    arguments = parse_arguments()
    wanted = [(store.name, store.program) for store in STORES]
    versions = compare.find_programs(arguments, wanted)
    stores = [(store, found) for store in STORES if (found := versions.get(store.name))]
    scrapes = int(arguments.hours * 3_600_000 // INTERVAL_MS)
    with contextlib.ExitStack() as stack:
        temporary = stack.enter_context(tempfile.TemporaryDirectory(prefix="kpwatch-bench-"))
        folder = Path(arguments.keep or temporary)
        folder.mkdir(parents=True, exist_ok=True)
        end = load(stores, folder, arguments.targets, scrapes)
        servers = [Server(stack.enter_context(start(store, found, folder))) for store, found in stores]
        time.sleep(SETTLE_SECONDS)
        step = max(1, round(arguments.hours * 3600 / STEPS))
        over = {"start": end - step * (STEPS - 1), "end": end, "step": step}
        moves_seconds = INTERVAL_MS / 1000 if arguments.moving else 0.0
        results: dict[str, dict[str, dict[str, Times]]] = {"instant": {}, "range": {}}
        for title, query in QUERIES.items():
            if arguments.query not in title:
                continue
            for kind, path, times in (("range", "query_range", over), ("instant", "query", {"time": end})):
                results[kind][title] = measure(servers, path, query, times, arguments.repeats, moves_seconds)
    parts = [page.head("How long a query takes", versions), f"Load: {recording.load().describe()}.\n"]
    size = f"{arguments.targets} targets, {arguments.hours:g} h at {INTERVAL_MS // 1000} s"
    for kind, what in (("range", f"over {arguments.hours:g} h in {STEPS} steps"), ("instant", "at one instant")):
        for asked, shown in KINDS.items():
            parts.append(f"## {what}, {shown}, {size}\n\n{table(results[kind], asked)}\n")
    parts.append("## Goals\n\n" + goals(results))
    page.publish("\n".join(parts), arguments.out)
    return 0


if __name__ == "__main__":
    sys.exit(process.run(main))
