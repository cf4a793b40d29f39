"""`kpwatch explain`: what a metric or a check means, what is bad, what to do.

kpwatch explain                              every name, one line each
kpwatch explain up                           one metric; a histogram's _bucket, _sum, _count lead to it
kpwatch explain sync-failing --lang zh       one check
kpwatch explain NAME --json                  the row as the hub's dictionary has it, in both languages
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from typing import TYPE_CHECKING, Any

from kpwatch.base.errors import KpwatchError
from kpwatch.base.terminal import Paint, columns, wanted_language, wants_colours
from kpwatch.cli.explaining import Page, explain_all, explain_check, explain_metric, explain_prefix
from kpwatch.knowledge.document import check_document, group_document, metric_document, prefix_document
from kpwatch.knowledge.load import knowledge
from kpwatch.knowledge.lookup import find_check, find_metric, find_prefix, nearest
from kpwatch.knowledge.rows import LANGUAGES

if TYPE_CHECKING:
    from kpwatch.knowledge.rows import Knowledge


def main(arguments: list[str]) -> int:
    """Print what is asked for; 0, or what errors make of it: 1 where the name is not known."""
    asked = _parser().parse_args(arguments)
    table = knowledge()
    sys.stdout.reconfigure(errors="replace")  # type: ignore[union-attr]  # a terminal may not know Chinese
    if asked.json:
        print(json.dumps(document(table, asked.name), ensure_ascii=False, indent=2))
        return 0
    paint = Paint(wants_colours(sys.stdout, os.environ))
    page = Page(columns(sys.stdout, os.environ), asked.lang or wanted_language(os.environ), paint)
    write(page, table, asked.name)
    print("\n".join(page.lines))
    return 0


def write(page: Page, table: Knowledge, name: str) -> None:
    """Put on the page what `name` stands for, "" being everything; raises KpwatchError where it is not known."""
    if not name:
        explain_all(page, table)
    elif (found := find_metric(table, name)) is not None:
        explain_metric(page, table, found, name.partition("{")[0].strip())
    elif (check := find_check(table, name)) is not None:
        explain_check(page, table, check)
    elif (prefix := find_prefix(table, name)) is not None:
        explain_prefix(page, table, prefix, name)
    else:
        raise unknown(table, name)


def document(table: Knowledge, name: str) -> dict[str, Any]:
    """The same as JSON; raises KpwatchError as `write` does."""
    if not name:
        return {
            "groups": [group_document(row) for row in table.metric_groups],
            "prefixes": [prefix_document(row) for row in table.metric_prefixes],
            "metrics": [metric_document(row) for row in table.metrics],
            "checks": [check_document(row, table.terms) for row in table.checks],
        }
    if (found := find_metric(table, name)) is not None:
        return metric_document(found.metric)
    if (check := find_check(table, name)) is not None:
        return check_document(check, table.terms)
    if (prefix := find_prefix(table, name)) is not None:
        return prefix_document(prefix)
    raise unknown(table, name)


def unknown(table: Knowledge, name: str) -> KpwatchError:
    """No row has this name; which ones are near."""
    near = nearest(name, [*(row.name for row in table.metrics), *(row.id for row in table.checks)])
    hint = "\n  ".join(["; the nearest:", *near]) if near else "; `kpwatch explain` lists all"
    return KpwatchError(f"no metric or check is called {name!r}{hint}")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="kpwatch explain", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("name", metavar="NAME|CHECK", nargs="?", default="", help="a metric or a check; none: the list")
    parser.add_argument(
        "--lang", choices=LANGUAGES, help="default: zh where LC_ALL, LC_MESSAGES or LANG is Chinese, else en"
    )
    parser.add_argument("--json", action="store_true", help="as JSON, in both languages")
    return parser
