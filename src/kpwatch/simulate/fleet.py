"""Which nodes there are: names, versions and modes of a simulated cluster.

A fault that a node's version or mode cannot show changes the node: it becomes the nearest proxy that can show all its
faults. Two faults that no proxy can show together are refused.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from kpwatch.base.errors import UsageError
from kpwatch.simulate.bodies import captures
from kpwatch.simulate.node import NodeSpec
from kpwatch.simulate.noise import between, unit

if TYPE_CHECKING:
    from collections.abc import Sequence

    from kpwatch.simulate.faults import Fault

ARTICLE_IDENTS = ("10.206.0.7", "10.206.0.11", "10.206.16.3", "10.206.0.16", "10.206.16.8", "10.206.0.17")
"""The nodes of the cluster in the article."""

MIX = (
    "1.36.3-iptables-churn",
    "1.36.3-iptables-churn",
    "1.34.9-nftables-churn",
    "1.30.3-iptables-churn",
    "1.36.3-nftables-churn",
    "1.26.0-iptables-churn",
)
"""Captures the nodes start from, in turn."""

_HEALTHY = "-churn"
"""Situation of the captures that a node may start from."""
_SKEW_MINORS = 4
"""From here on a version is behind more than Kubernetes supports."""
_RANGE = re.compile(r"(\d+)-(\d+)")


@dataclass(frozen=True, slots=True)
class FleetOptions:
    """What the nodes have in common."""

    proxies: Sequence[str] = ()
    """VERSION-MODE of the nodes, in turn; none = a mix."""
    quiet: bool = False
    """Hardly anything changes in the cluster."""
    age_seconds: tuple[float, float] = (600, 3600)


def ident(number: int) -> str:
    """Name of node `number` (from 0): the article's six, then 10.206.32.1 and on."""
    if number < len(ARTICLE_IDENTS):
        return ARTICLE_IDENTS[number]
    beyond = number - len(ARTICLE_IDENTS)
    return f"10.206.{32 + beyond // 250}.{1 + beyond % 250}"


def proxies() -> dict[str, str]:
    """VERSION-MODE -> capture, of all that a node can be, the oldest first."""
    names = [name for name in captures() if name.endswith(_HEALTHY)]
    return {name.removesuffix(_HEALTHY): name for name in sorted(names, key=lambda name: captures()[name].minor)}


def make_specs(
    count: int,
    now: float,
    faults: Sequence[tuple[str, Fault]] = (),
    options: FleetOptions = FleetOptions(),
    *,
    age_seconds: tuple[float, float] | None = None,
) -> list[NodeSpec]:
    """`count` nodes whose processes are between `age_seconds` old at `now`.

    `faults` are (nodes, fault); nodes are an ident, a number from 1, a range such as 3-7, or * for all. Raises
    UsageError for nodes that do not exist, proxies that are not in the package, and faults that exclude each other.
    """
    idents = [ident(number) for number in range(count)]
    base = _base_captures(count, options)
    per_node: list[list[Fault]] = [[] for _ in idents]
    for nodes, fault in faults:
        for number in _numbers(nodes, fault, idents):
            per_node[number].append(fault)
    return [
        NodeSpec(
            ident=name,
            capture=_fitting(name, base[number], per_node[number], base),
            started=now - between(*(age_seconds or options.age_seconds), "age", name),
            faults=tuple(per_node[number]),
            quiet=options.quiet,
            has_all_local=_has_all_local(number, name, per_node[number]),
        )
        for number, name in enumerate(idents)
    ]


def _base_captures(count: int, options: FleetOptions) -> list[str]:
    known = proxies()
    for proxy in options.proxies:
        if proxy not in known:
            raise UsageError(f"no kube-proxy {proxy!r} to simulate; there are {', '.join(known)}")
    mix = [known[proxy] for proxy in options.proxies] or MIX
    return [mix[number % len(mix)] for number in range(count)]


def _numbers(nodes: str, fault: Fault, idents: Sequence[str]) -> Sequence[int]:
    """The nodes meant by `nodes`, from 0."""
    count = len(idents)
    if nodes == "*":
        return range(count)
    if nodes in idents:
        return [idents.index(nodes)]
    bounds = _RANGE.fullmatch(nodes)
    first, last = bounds.groups() if bounds else (nodes, nodes)
    if first.isdigit() and last.isdigit() and 1 <= int(first) <= int(last) <= count:
        return range(int(first) - 1, int(last))
    raise UsageError(
        f"fault {fault.name}@{nodes}: no such node; there are {idents[0]} to {idents[-1]}, 1 to {count}, "
        f"ranges such as 1-{count}, and * for all"
    )


def _fitting(name: str, own: str, faults: Sequence[Fault], fleet: Sequence[str]) -> str:
    """`own` where it can show all `faults`, else the capture nearest to it that can; raises UsageError."""
    found = [each for each in proxies().values() if all(_fits(fault, each, fleet) for fault in faults)]
    if not found:
        wanted = "; ".join(f"{fault.name} needs {fault.row.needs}" for fault in faults if str(fault.row.needs))
        raise UsageError(f"node {name}: no kube-proxy to simulate shows all of its faults: {wanted}. Use two nodes")
    at_home = captures()[own]

    def distance(each: str) -> tuple[bool, int, int]:
        other = captures()[each]
        return (other.mode != at_home.mode, abs(other.minor - at_home.minor), -other.minor)

    return min(found, key=distance)


def _fits(fault: Fault, capture: str, fleet: Sequence[str]) -> bool:
    """Whether a node that starts from `capture` shows `fault` in a fleet of these captures."""
    needs, this = fault.row.needs, captures()[capture]
    usual = captures()[Counter(fleet).most_common(1)[0][0]]
    unlike: dict[str, bool] = {
        "": True,
        "mode": this.mode != _usual_mode(fleet),
        "version": usual.minor - this.minor >= _SKEW_MINORS,
    }
    return needs.fit(this.minor, this.mode) and unlike[needs.unlike]


def _usual_mode(fleet: Sequence[str]) -> str:
    return Counter(captures()[capture].mode for capture in fleet).most_common(1)[0][0]


def _has_all_local(number: int, name: str, faults: Sequence[Fault]) -> bool:
    """In a healthy cluster every Service has its endpoints somewhere: at the first node, and at every third."""
    return number == 0 or unit("local", name) < 1 / 3 or any(fault.row.effect.no_local for fault in faults)
