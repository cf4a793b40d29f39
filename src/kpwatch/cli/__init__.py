"""The verbs: one file each with `main(arguments) -> exit code`, imported when it is called."""

from __future__ import annotations

import importlib
from functools import partial
from typing import TYPE_CHECKING

from kpwatch.base.errors import KpwatchError, UsageError
from kpwatch.base.named import NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable


class Verb(NamedTuple):
    """What a verb is for; its module is `kpwatch.cli.<name>`."""

    module: str
    does: str


VERBS: dict[str, Verb] = {
    "up": Verb("up", "a hub and an agent in one process; --demo adds a simulated cluster"),
    "agent": Verb("agent", "scrape kube-proxy and write what it says to Remote Write receivers"),
    "hub": Verb("hub", "receive, keep, answer PromQL, show the fleet"),
    "doctor": Verb("doctor", "say what is wrong with which kube-proxy, and what to do"),
    "query": Verb("query", "ask a hub, or any Prometheus API, a PromQL query"),
    "explain": Verb("explain", "what a metric or a check means, what is bad, what to do"),
    "backup": Verb("backup", "copy a hub's data, also while it runs"),
    "restore": Verb("restore", "put a backup into an empty data directory"),
    "delete": Verb("delete", "delete series from a hub's data"),
    "check": Verb("check", "find everything wrong in a configuration, a metrics page or rules"),
    "publish": Verb("publish", "boards, rules and runbooks for Nightingale, Grafana, Prometheus"),
    "simulate": Verb("simulate", "serve a fleet of kube-proxies replayed from real ones"),
}

_INSTALL_HUB = "pip install 'kpwatch[hub]', in a checkout pip install '.[hub]'"

_HELP_WORDS = ("help", "-h", "-help", "--help")


def find_verb(arguments: list[str]) -> Callable[[], int]:
    """What the command line asks for, ready to be called; raises UsageError for a verb there is not."""
    if not arguments:
        raise UsageError(f"which verb? one of: {', '.join(VERBS)}; `kpwatch help` says what they do")
    name, *rest = arguments
    if name in _HELP_WORDS:
        return partial(_help, rest)
    verb = VERBS.get(name)
    if verb is None:
        raise UsageError(f"no verb {name!r}{_nearest(name)}; `kpwatch help` lists them")
    return partial(_call, verb, rest)


def _call(verb: Verb, rest: list[str]) -> int:
    try:
        module = importlib.import_module(f"kpwatch.cli.{verb.module}")
        code: int = module.main(rest)
    except ModuleNotFoundError as error:
        if (error.name or "kpwatch").partition(".")[0] == "kpwatch":
            raise
        raise KpwatchError(f"{verb.module} needs the package {error.name!r}: {_INSTALL_HUB}") from error
    return code


def _help(rest: list[str]) -> int:
    if rest[:1] and rest[0] in VERBS:
        return find_verb([rest[0], "--help"])()
    width = max(map(len, VERBS))
    print("kpwatch watches kube-proxy.\n\nusage: kpwatch VERB [...]\n")
    for name, verb in VERBS.items():
        print(f"  {name:<{width}}  {verb.does}")
    print(f"\n  {'help':<{width}}  this; `kpwatch help VERB` for one verb\n  {'--version':<{width}}  the version")
    return 0


def _nearest(name: str) -> str:
    import difflib

    near = difflib.get_close_matches(name, VERBS, n=1, cutoff=0.5)
    return f", did you mean {near[0]!r}?" if near else ""
