"""The log lines with which Categraf starts, word for word, so that whoever reads or greps them finds them.

Places such as `main.go:110` are the original's. v0.2 is the article's version, v0.4 everything from v0.3.78 on. All go
to stderr, so that a pipe behind --test sees only samples (v0.4 writes some to stdout).
"""

from __future__ import annotations

import os
import resource
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from kpwatch.base.logs import Logger
    from kpwatch.exposition.categraf_view import Dialect

_MACHINE = {
    "v0.2": ("main.go:110", "main.go:111", "main.go:112", "main.go:113"),
    "v0.4": ("main.go:151", "main.go:152", "main.go:153", "main.go:154"),
}

_STARTED = "input: local.prometheus started"

_INPUTS = {
    "v0.2": (
        ("config.go:33", "tracing disabled"),
        ("provider.go:63", "use input provider: [local]"),
        ("agent.go:87", "agent starting"),
        ("metrics_agent.go:93", _STARTED),
        ("prometheus_scrape.go:14", "prometheus scraping disabled!"),
        ("agent.go:98", "agent started"),
    ),
    "v0.4": (
        ("provider_manager.go:60", "use input provider: [local]"),
        ("prometheus_agent.go:19", "prometheus scraping disabled!"),
        ("ibex_agent.go:19", "ibex agent disabled!"),
        ("agent.go:38", "agent starting"),
        ("metrics_agent.go:329", _STARTED),
        ("agent.go:46", "[*agent.MetricsAgent] started"),
        ("agent.go:49", "agent started"),
    ),
}


def say_machine(log: Logger, dialect: Dialect) -> None:
    """Say where we run."""
    texts = (
        f"runner.binarydir: {os.path.dirname(os.path.abspath(sys.argv[0]))}",  # noqa: PTH100, PTH120 - as it was called
        f"runner.hostname: {os.uname().nodename}",
        f"runner.fd_limits: {_limits(resource.RLIMIT_NOFILE, '')}",
        f"runner.vm_limits: {_limits(resource.RLIMIT_AS, 'b')}",
    )
    for place, text in zip(_MACHINE[dialect], texts, strict=True):
        log.info(text, at=place)


def say_inputs(log: Logger, dialect: Dialect, *, has_targets: bool) -> None:
    """Say what runs; the input's line only if it has something to do."""
    for place, text in _INPUTS[dialect]:
        if text != _STARTED or has_targets:
            log.info(text, at=place)


def _limits(which: int, unit: str) -> str:
    soft, hard = (
        "unlimited" if limit == resource.RLIM_INFINITY else f"{limit}{unit}" for limit in resource.getrlimit(which)
    )
    return f"(soft={soft}, hard={hard})"
