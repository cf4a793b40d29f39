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
from collections import Counter
from pathlib import Path

from kpwatch.publish.catalogue import TARGETS, Wishes, documents_for
from kpwatch.publish.files import write_documents


def main(arguments: list[str]) -> int:
    """Write files or push; 0, or what errors make of it."""
    parser = _parser()
    asked = parser.parse_args(arguments)
    if not asked.out:
        parser.error("--out DIR: where to write")
    wishes = Wishes(runbooks=asked.runbooks)
    done: Counter[str] = Counter()
    for what, path in write_documents(Path(asked.out), documents_for(asked.target, wishes)):
        done[what] += 1
        if what != "unchanged":
            print(f"{what} {asked.out}/{path}")
    print(", ".join(f"{done[what]} {what}" for what in ("created", "updated", "unchanged")))
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="kpwatch publish", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--for", dest="target", required=True, choices=TARGETS, help="whose files")
    parser.add_argument("--out", metavar="DIR", default="", help="write below this folder")
    parser.add_argument(
        "--runbooks",
        metavar="URL",
        default="runbooks",
        help="where you serve markdown/runbooks; the alerts' runbook_url begins with it (default: %(default)s)",
    )
    return parser
