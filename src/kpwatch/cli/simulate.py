"""`kpwatch simulate`: a fleet of kube-proxies that are not there, until Ctrl-C.

For trying out whatever watches kube-proxies: agents, boards, alert rules, the doctor, load.
"""

from __future__ import annotations

import argparse
import resource
from typing import TYPE_CHECKING

from kpwatch.base.clock import SYSTEM_CLOCK
from kpwatch.base.errors import UsageError
from kpwatch.cli.waiting import until_told_to_end
from kpwatch.simulate.faults import EFFECTS, parse_fault
from kpwatch.simulate.fleet import FleetOptions, make_specs, proxies
from kpwatch.simulate.node import SimulatedNode
from kpwatch.simulate.server import FleetServer, Place

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from kpwatch.simulate.server import Served

_EXAMPLES = """\
NODE is a name, a number from 1, a range (3-7) or * for all. START and END are durations from now (30s, 5m, -10m);
without START a fault is there from the beginning, without END it stays. --fault may be given several times. A node
whose version or mode cannot show its faults becomes one that can. Each fault: docs/reference/simulate.md

  kpwatch simulate --nodes 20 --fault sync-failing@3 --fault unreachable@10.206.0.7:1m:5m
  kpwatch simulate --nodes 50 --proxies 1.36.3-iptables --quiet --fault 'api-unreachable@*:1m'
"""


def _epilog() -> str:
    """Every fault with a line, then how to write one."""
    width = max(map(len, EFFECTS))
    lines = []
    for name, row in EFFECTS.items():
        needs = f" ({row.needs})" if str(row.needs) else ""
        lines.append(f"  {name:<{width}}  {row.about}{needs}")
    return "faults:\n" + "\n".join(lines) + "\n\n" + _EXAMPLES


def main(arguments: list[str]) -> int:
    """Serve until a signal; 0, or what errors make of it."""
    options = _parser().parse_args(arguments)
    _make_room(options.nodes)
    now = SYSTEM_CLOCK.unix_seconds()
    faults = [parse_fault(text, now) for text in options.fault]
    fleet = FleetOptions(proxies=options.proxies, quiet=options.quiet)
    nodes = [SimulatedNode(spec) for spec in make_specs(options.nodes, now, faults, fleet)]
    server = FleetServer(nodes, _place(options.listen))
    with until_told_to_end() as told:
        server.start()
        try:
            print(table(server.served))
            print(f"\n{len(nodes)} simulated kube-proxies. Ctrl-C ends them.", flush=True)
            told.wait()
        finally:
            server.stop()
    return 0


def table(served: Iterable[Served]) -> str:
    """One line a node: name, version, mode, URLs, faults."""
    head = ("NODE", "VERSION", "MODE", "METRICS", "HEALTH", "FAULTS")
    rows = [head, *(_row(one) for one in served)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(head))]
    return "\n".join("  ".join(map(str.ljust, row, widths)).rstrip() for row in rows)


def _row(one: Served) -> Sequence[str]:
    node = one.node
    faults = " ".join(fault.name for fault in node.spec.faults) or "-"
    return (node.ident, node.version, node.proxy_mode, one.metrics_url, f"{one.health_url}/healthz", faults)


def _make_room(nodes: int) -> None:
    """Allow this process two ports and as many connections for each node; raises UsageError where it may not."""
    needed = 4 * nodes + 64
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft >= needed or soft == resource.RLIM_INFINITY:
        return
    if hard != resource.RLIM_INFINITY and hard < needed:
        raise UsageError(f"{nodes} nodes need {needed} open files, this process may have {hard}: ulimit -n, or fewer")
    resource.setrlimit(resource.RLIMIT_NOFILE, (needed, hard))


def _place(listen: str) -> Place:
    host, colon, port = listen.rpartition(":")
    if not colon:
        return Place(listen)
    if not port.isdigit() or int(port) > 65535:
        raise UsageError(f"--listen {listen!r}: expected HOST or HOST:PORT, such as 127.0.0.1:20000")
    return Place(host, int(port))


def _node_count(text: str) -> int:
    count = int(text)
    if not 1 <= count <= 10_000:
        raise argparse.ArgumentTypeError(f"{count} nodes: expected 1 to 10000")
    return count


def _names(text: str) -> list[str]:
    return [name.strip() for name in text.split(",")]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="kpwatch simulate",
        description="Serve a fleet of kube-proxies replayed from real ones.",
        epilog=_epilog(),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--nodes", type=_node_count, default=6, metavar="N", help="how many (default 6)")
    parser.add_argument("--fault", action="append", default=[], metavar="NAME@NODE[:START[:END]]", help="break one")
    parser.add_argument(
        "--proxies",
        type=_names,
        default=[],
        metavar="VERSION-MODE,…",
        help=f"what the nodes run, in turn: {', '.join(proxies())} (default: a mix)",
    )
    parser.add_argument("--quiet", action="store_true", help="changes in the cluster come ten minutes apart")
    parser.add_argument(
        "--listen",
        default="",
        metavar="HOST[:PORT]",
        help="all nodes on HOST, from PORT on (default: 127.A.B.C:10249 and :10256 for node 10.A.B.C)",
    )
    return parser
