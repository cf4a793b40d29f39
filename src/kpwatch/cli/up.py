"""`kpwatch up`: hub and agent in one process, until Ctrl-C."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from kpwatch.base.errors import UsageError
from kpwatch.cli.hub import default_data, listen_address
from kpwatch.cli.waiting import until_told_to_end

if TYPE_CHECKING:
    from kpwatch.up import Probe, Up

_EPILOG = """\
  kpwatch up           watch the kube-proxy of this machine (127.0.0.1:10249), keep samples in ./kpwatch-data
  kpwatch up --demo    six simulated nodes, two of them with a fault; samples are thrown away at the end
"""

_DEMO = """\
kpwatch demo: {url}/

  six simulated kube-proxies, each scraped every {interval:g} s by an agent of its own:
{nodes}
  {failing}: its sync has been failing for {failing_minutes} min
  {silent}: falls silent {silent_seconds} s after the start
{here}
Ctrl-C ends it."""

_UP = """\
kpwatch: {url}/

{here}
  samples are kept in {data}

Ctrl-C ends it."""

_NEXT_STEPS = """\
  {problem}; it is asked again every {interval:g} s.
    Does kube-proxy run on this machine?  pgrep -a kube-proxy
    Is its metricsBindAddress another?    kubectl -n kube-system get configmap kube-proxy -o yaml | grep metricsBind
    Only looking?                         kpwatch up --demo"""


def main(arguments: list[str]) -> int:
    """Run until a signal or a failure; 0, or what errors make of it."""
    given = _parser().parse_args(arguments)
    host, port = given.listen
    from kpwatch.api.server import loopback
    from kpwatch.up import Up, UpOptions, probe_here

    if not loopback(host) and not given.allow_anonymous:
        raise UsageError(f"--listen {host}:{port} can be reached by other machines: add --allow-anonymous if it may")
    data = given.data or (None if given.demo else default_data())
    with until_told_to_end() as told:
        up = Up(UpOptions(host, port, data, given.demo, given.allow_anonymous), failed=told.set)
        up.start()
        try:
            probe = probe_here()
            if probe.mode or not given.demo:
                up.watch_here()
            print(_demo_text(up, probe) if given.demo else _up_text(up, probe, data), flush=True)
            told.wait()
        finally:
            up.stop()
    if up.failure is not None:
        raise up.failure
    return 0


def _demo_text(up: Up, probe: Probe) -> str:
    from kpwatch.up import (
        DEMO_INTERVAL_SECONDS,
        FAILING_FOR_SECONDS,
        FAILING_IDENT,
        HERE,
        SILENT_AFTER_SECONDS,
        SILENT_IDENT,
    )

    nodes = [
        f"    {served.node.ident:<13}{served.node.version:<8}{served.node.proxy_mode:<10}{served.metrics_url}"
        for served in up.simulated
    ]
    return _DEMO.format(
        url=up.url,
        interval=DEMO_INTERVAL_SECONDS,
        nodes="\n".join(nodes) + "\n",
        failing=FAILING_IDENT,
        failing_minutes=FAILING_FOR_SECONDS // 60,
        silent=SILENT_IDENT,
        silent_seconds=SILENT_AFTER_SECONDS,
        here=f"\n  and the kube-proxy of this machine ({HERE}, {probe.mode})\n" if probe.mode else "",
    )


def _up_text(up: Up, probe: Probe, data: Path | None) -> str:
    from kpwatch.up import HERE, INTERVAL_SECONDS

    here = f"  watching the kube-proxy of this machine ({HERE}, {probe.mode})"
    if probe.problem:
        here = _NEXT_STEPS.format(problem=probe.problem, interval=INTERVAL_SECONDS)
    return _UP.format(url=up.url, here=here, data=data)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="kpwatch up",
        description="A hub and an agent in one process.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--demo", action="store_true", help="add a simulated cluster with faults")
    parser.add_argument(
        "--listen", type=listen_address, default="127.0.0.1:19000", metavar="HOST:PORT", help="default 127.0.0.1:19000"
    )
    parser.add_argument("--data", type=Path, metavar="DIR", help="where samples are kept")
    parser.add_argument(
        "--allow-anonymous", action="store_true", help="let other machines write and read without a secret"
    )
    return parser
