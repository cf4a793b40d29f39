"""Which nodes there are: names, versions and modes of a simulated cluster."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kpwatch.base.errors import UsageError
from kpwatch.simulate.node import NodeSpec
from kpwatch.simulate.noise import between

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


def ident(number: int) -> str:
    """Name of node `number` (from 0): the article's six, then 10.206.32.1 and on."""
    if number < len(ARTICLE_IDENTS):
        return ARTICLE_IDENTS[number]
    beyond = number - len(ARTICLE_IDENTS)
    return f"10.206.{32 + beyond // 250}.{1 + beyond % 250}"


def make_specs(
    count: int, now: float, faults: Sequence[tuple[str, Fault]] = (), *, age_seconds: tuple[float, float] = (600, 3600)
) -> list[NodeSpec]:
    """`count` nodes whose processes are between `age_seconds` old at `now`.

    `faults` are (node, fault); a node is named by its ident or its number from 1. Raises UsageError for a node that
    does not exist.
    """
    idents = [ident(number) for number in range(count)]
    numbers = {name: name for name in idents} | {str(number): name for number, name in enumerate(idents, start=1)}
    for name, fault in faults:
        if name not in numbers:
            raise UsageError(
                f"fault {fault.name}@{name}: no such node; there are {idents[0]} to {idents[-1]}, 1 to {count}"
            )
    return [
        NodeSpec(
            ident=name,
            capture=MIX[number % len(MIX)],
            started=now - between(*age_seconds, "age", name),
            faults=tuple(fault for node, fault in faults if numbers[node] == name),
        )
        for number, name in enumerate(idents)
    ]
