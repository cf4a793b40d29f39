"""`kpwatch publish`: boards, rules, dictionary and runbooks for other programs, made from what kpwatch knows.

kpwatch publish --for prometheus --out DIR        rules, their unit tests, Alertmanager's inhibitions
kpwatch publish --for grafana --out DIR           boards and a provisioning file
kpwatch publish --for nightingale --out DIR       boards, alert rules, recording rules, dictionary
kpwatch publish --for markdown --out DIR          dictionary and a runbook for each check, in two languages
kpwatch publish --for grafana --push URL --token-file FILE      into a running Grafana or Nightingale

The same again changes nothing. What is made for whom: docs/reference/publish.md.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

from kpwatch.base.errors import ConfigError, UsageError
from kpwatch.knowledge.rows import LANGUAGES
from kpwatch.publish.catalogue import TARGETS, Wishes, documents_for

if TYPE_CHECKING:
    from collections.abc import Iterable

    from kpwatch.publish.push import Step

_WRITTEN = ("created", "updated", "unchanged")
_PUSHED = (*_WRITTEN, "refused", "not reached")
_USUAL_LANGUAGE = {"nightingale": "zh", "grafana": "en"}


def main(arguments: list[str]) -> int:
    """Write files or push; 0, 1 where something could not be pushed, or what errors make of it."""
    parser = _parser()
    asked = parser.parse_args(arguments)
    if bool(asked.out) == bool(asked.push):
        parser.error("expected --out DIR or --push URL")
    sys.stdout.reconfigure(errors="replace")  # type: ignore[union-attr]  # a terminal may not know Chinese
    return _push(parser, asked) if asked.push else _write(asked)


def _write(asked: argparse.Namespace) -> int:
    from kpwatch.publish.files import write_documents

    done: Counter[str] = Counter()
    for what, path in write_documents(Path(asked.out), documents_for(asked.target, Wishes(asked.runbooks))):
        done[what] += 1
        if what != "unchanged":
            print(f"{what} {asked.out}/{path}")
    print(", ".join(f"{done[what]} {what}" for what in _WRITTEN))
    return 0


def _push(parser: argparse.ArgumentParser, asked: argparse.Namespace) -> int:
    from kpwatch.publish.push import pushed

    if asked.target not in _USUAL_LANGUAGE:
        parser.error(f"--push: only Nightingale and Grafana take it; for {asked.target} use --out DIR")
    if not asked.token_file:
        parser.error("--push: expected --token-file FILE, a file that holds the token and nothing else")
    done: Counter[str] = Counter()
    for outcome in pushed(_steps(asked)):
        done[outcome.what] += 1
        if outcome.what != "unchanged":
            print(f"{outcome.what} {outcome.name}{f': {outcome.why}' if outcome.why else ''}", flush=True)
    failed = done["refused"] + done["not reached"]
    print(", ".join(f"{done[what]} {what}" for what in (_PUSHED if failed else _WRITTEN)))
    return 1 if failed else 0


def _steps(asked: argparse.Namespace) -> Iterable[Step]:
    """What is pushed, in order; raises UsageError, ConfigError."""
    from kpwatch.doctor.prometheus_api import without_secret

    url, in_url = without_secret(asked.push)
    if in_url:
        raise UsageError("--push: expected a URL without user and password; the token comes from --token-file")
    token, language = _token(asked.token_file), asked.lang or _USUAL_LANGUAGE[asked.target]
    if asked.target == "grafana":
        from kpwatch.publish.push_grafana import GrafanaPusher

        return GrafanaPusher(url, token, language).steps()
    from kpwatch.publish.push_nightingale import NightingalePusher

    return NightingalePusher(url, token, language, group=asked.group, runbooks=asked.runbooks).steps()


def _token(file: str) -> str:
    try:
        token = Path(file).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"--token-file {file}: {getattr(error, 'strerror', None) or 'not text'}") from error
    if not token or not token.isascii() or not token.isprintable():
        raise ConfigError(f"--token-file {file}: expected one line of printable ASCII, the token")
    return token


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="kpwatch publish", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--for", dest="target", required=True, choices=TARGETS, help="whose files")
    parser.add_argument("--out", metavar="DIR", default="", help="write below this folder")
    parser.add_argument("--push", metavar="URL", default="", help="write into the server there instead")
    parser.add_argument("--token-file", metavar="FILE", default="", help="holds the server's API token")
    parser.add_argument("--lang", choices=LANGUAGES, help="of pushed boards (default: nightingale zh, grafana en)")
    parser.add_argument("--group", metavar="NAME", default="", help="Nightingale's business group (default: the first)")
    parser.add_argument(
        "--runbooks",
        metavar="URL",
        default="runbooks",
        help="where you serve markdown/runbooks; the alerts' runbook_url begins with it (default: %(default)s)",
    )
    return parser
