"""`kpwatch doctor`: what is wrong with which kube-proxy, how it shows, what to do.

kpwatch doctor                                         this machine's kube-proxy
kpwatch doctor http://node-a:10249 http://node-b:10249 others; the health port is found beside
kpwatch doctor bundle/                                 what was saved before
kpwatch doctor --prometheus http://hub:19000           a whole fleet, from a hub or any Prometheus
kpwatch doctor --save ticket/ http://node-a:10249      keep what it saw

Exit code: 2 something is critical, 1 a warning, 3 a node could not be judged, 0 all is well; 64 a wrong command line.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn, Self

from kpwatch.base.clock import SYSTEM_CLOCK
from kpwatch.base.durations import parse_prometheus
from kpwatch.base.errors import ConfigError, KpwatchError, UsageError
from kpwatch.base.http import redact_url
from kpwatch.base.terminal import Paint, columns, wanted_language, wants_colours

if TYPE_CHECKING:
    from collections.abc import Sequence

    from kpwatch.doctor.documents import Node
    from kpwatch.doctor.report import Document
    from kpwatch.doctor.words import Language

_BAD_USAGE = 64
_CANNOT_JUDGE = 3
_SERVER_TIMEOUT_SECONDS = 30.0


def main(arguments: list[str]) -> int:
    """Judge and print; see the exit codes above."""
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # nobody multiplies matrices here; threads take time to start
    parser = _parser()
    given = parser.parse_args(arguments)
    in_fleet = given.prometheus is not None
    if in_fleet and (given.target or given.save):
        parser.error("--prometheus asks a server: it takes no TARGET and no --save")
    try:
        nodes = [] if in_fleet else _nodes(given)
    except (UsageError, ConfigError) as error:
        print(f"kpwatch: {error}", file=sys.stderr)
        return _BAD_USAGE
    language: Language = "zh" if (given.lang or wanted_language(os.environ)) == "zh" else "en"
    try:
        with _progress() as tell:
            tell("asking the server" if in_fleet else "judging the answers")
            document = _of_server(given.prometheus, language) if in_fleet else _of_nodes(nodes, language)
    except UsageError as error:
        print(f"kpwatch: --prometheus {error}", file=sys.stderr)
        return _BAD_USAGE
    except KpwatchError as error:
        print(f"kpwatch: {error}", file=sys.stderr)
        return _CANNOT_JUDGE
    code = _show(document, language, given)
    if in_fleet and not document["nodes"]:
        place = redact_url(given.prometheus)
        print(f'kpwatch: {place} has no sample of a kube-proxy: none with job="kube-proxy" of today', file=sys.stderr)
        return _CANNOT_JUDGE
    return code


def _nodes(given: argparse.Namespace) -> list[Node]:
    """Every target's documents; raises UsageError and ConfigError."""
    from kpwatch.doctor.bundle import read_bundle, require_new, write_bundle

    if given.save:
        require_new(Path(given.save))
    urls = [target for target in given.target if "://" in target]
    bundles = [target for target in given.target if "://" not in target]
    nodes = [read_bundle(Path(bundle)) for bundle in bundles]
    if urls or not bundles:
        from kpwatch.doctor.live import examine, targets_of

        with _progress() as tell:
            targets = targets_of(urls, given.health)
            times = {"for_seconds": given.seconds, "timeout_seconds": given.timeout}
            nodes += examine(targets, **times, progress=tell, meanwhile=_get_ready)
    if given.save:
        for node in nodes:
            write_bundle(node, Path(given.save) if len(nodes) == 1 else Path(given.save) / node.ident.replace("/", "_"))
    return nodes


def _get_ready() -> None:
    """Load what judging takes, which is half of its time for a node or two."""
    from kpwatch.knowledge.load import knowledge

    for module in ("at_desk", "report"):
        import_module(f"kpwatch.doctor.{module}")
    knowledge()


def _of_nodes(nodes: Sequence[Node], language: Language) -> Document:
    from kpwatch.doctor.at_desk import examine_at_desk
    from kpwatch.doctor.report import as_document
    from kpwatch.knowledge.load import knowledge

    return as_document(examine_at_desk(nodes, knowledge()), language)


def _of_server(url: str, language: Language) -> Document:
    """A hub judges itself; any other server is asked every query."""
    from kpwatch.doctor.prometheus_api import ask_hub

    told = ask_hub(url, f"/api/kpwatch/v1/findings?lang={language}", _SERVER_TIMEOUT_SECONDS)
    if told is not None and told.get("version") == 1:
        return told
    from kpwatch.doctor.at_engine import AtEngine
    from kpwatch.doctor.judge import judge
    from kpwatch.doctor.report import as_document
    from kpwatch.doctor.server import ServerEngine
    from kpwatch.knowledge.load import knowledge

    engine = ServerEngine(url, timeout_seconds=_SERVER_TIMEOUT_SECONDS)
    return as_document(judge(knowledge(), AtEngine(engine, knowledge(), engine.now_ms()), {}), language)


def _show(document: Document, language: Language, given: argparse.Namespace) -> int:
    from kpwatch.doctor.report import Style, as_text, exit_code
    from kpwatch.knowledge.load import knowledge

    sys.stdout.reconfigure(errors="replace")  # type: ignore[union-attr]  # a terminal may not know Chinese
    if given.json:
        print(json.dumps(document, ensure_ascii=False, indent=2))
    else:
        style = Style(language, columns(sys.stdout, os.environ), Paint(wants_colours(sys.stdout, os.environ)))
        checks = {check.id: check for check in knowledge().checks}
        now_seconds = SYSTEM_CLOCK.unix_seconds()
        print("\n".join(as_text(document, checks, style, now_seconds, verbose=given.verbose)))
    return exit_code(document)


class _progress:  # noqa: N801 - a context manager, used as a word
    """One line on a terminal that says how far it is, gone at the end; nothing in a pipe."""

    def __enter__(self) -> Self:
        self._shown = sys.stderr.isatty()
        return self

    def __call__(self, text: str) -> None:
        if self._shown:
            print(f"\r\x1b[Kkpwatch: {text}", end="", file=sys.stderr, flush=True)

    def __exit__(self, *_: object) -> None:
        if self._shown:
            print("\r\x1b[K", end="", file=sys.stderr, flush=True)


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        self.print_usage(sys.stderr)
        self.exit(_BAD_USAGE, f"kpwatch doctor: {message}\n")


def _seconds(text: str) -> float:
    try:
        return parse_prometheus(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text!r}: {error}") from error


def _timeout(text: str) -> float:
    seconds = _seconds(text)
    if seconds <= 0:
        raise argparse.ArgumentTypeError(f"{text!r}: a timeout is longer than 0")
    return seconds


def _parser() -> argparse.ArgumentParser:
    head, _, epilog = (__doc__ or "").partition("\n\n")
    parser = _Parser(
        prog="kpwatch doctor",
        description=head.partition(": ")[2],
        epilog=epilog,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("target", nargs="*", metavar="TARGET", help="http://HOST:10249, or a bundle's directory")
    parser.add_argument("--prometheus", metavar="URL", help="a hub, or any server with Prometheus' API")
    parser.add_argument("--health", default="", metavar="URL", help="where the health port is, if not beside")
    parser.add_argument(
        "--for",
        dest="seconds",
        type=_seconds,
        default="15s",
        metavar="DURATION",
        help="between the scrapes (15s; 0: one)",
    )
    parser.add_argument("--timeout", type=_timeout, default="2s", metavar="DURATION", help="of each request (2s)")
    parser.add_argument("--lang", choices=("zh", "en"), help="default: the locale's")
    parser.add_argument("--json", action="store_true", help="a document instead of text")
    parser.add_argument("--save", metavar="DIR", help="keep what it saw as a bundle")
    parser.add_argument("--verbose", action="store_true", help="for every node, what could not be judged and why")
    return parser
