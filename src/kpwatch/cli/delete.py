"""`kpwatch delete MATCHER…`: series leave a stopped hub's data, or a running hub's through its admin API."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.error import HTTPError, URLError
from urllib.parse import urlencode
from urllib.request import Request, urlopen

from kpwatch import __version__
from kpwatch.api.params import EARLIEST_MS, LATEST_MS, parse_time_ms
from kpwatch.base.errors import KpwatchError, UsageError
from kpwatch.base.telemetry import Registry

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from kpwatch.model.matchers import Matcher

_DESCRIPTION = """\
Delete for good the samples of every series that one of the MATCHERs selects, all or those from --start to --end.

--data DIR works on the directory of a hub that is stopped, --url URL on one that runs with --enable-admin-api. When the
command ends no query finds the samples, and their space is free. Samples that arrive meanwhile may stay or go.
"""
_EPILOG = """\
  kpwatch delete --data /var/lib/kpwatch/hub --dry-run '{ident="node-17"}'      which series would go?
  kpwatch delete --data /var/lib/kpwatch/hub '{ident="node-17"}' 'up{job="old"}'
  kpwatch delete --data /var/lib/kpwatch/hub --end 2026-01-01T00:00:00Z scrape_error_info
  kpwatch delete --url http://admin:secret@hub.example:19000 '{ident="node-17"}'

A command that is killed has deleted some of it; call it again for the rest. Backups and the quarantine are left alone.
Exit code: 0 deleted (even if nothing was there), 1 where it cannot be done, 2 for a wrong command line.
"""
_SHOWN_SERIES = 20


def main(arguments: list[str]) -> int:
    """Delete and say how much; 0, or what errors make of it."""
    given = _parser().parse_args(arguments)
    if given.url:
        return _from_a_running_hub(given)
    from kpwatch.api.metadata import matcher_sets

    return _from_a_directory(given, matcher_sets(given.matcher))


def _from_a_directory(given: argparse.Namespace, selections: Sequence[Sequence[Matcher]]) -> int:
    from kpwatch.model.labels import join_target
    from kpwatch.store.database import Store
    from kpwatch.store.options import StoreOptions
    from kpwatch.store.schema import FILE_NAME, require_store

    require_store(given.data / FILE_NAME)
    store = Store.open(StoreOptions(given.data, retention_seconds=0), Registry())
    try:
        if given.dry_run:
            found = {labels for one in selections for labels in store.series(one, given.start, given.end)}
            for labels in sorted(found)[:_SHOWN_SERIES]:
                print("{" + ", ".join(f'{name}="{value}"' for name, value in join_target(labels, ())) + "}")
            more = f", the first {_SHOWN_SERIES} are shown" if len(found) > _SHOWN_SERIES else ""
            print(f"{len(found)} series would be deleted{more}")
            return 0
        deleted = store.delete(selections, given.start, given.end).result()
    finally:
        store.close()
    print(f"{given.data}: {deleted.samples} samples of {deleted.series} series are deleted")
    return 0


def _from_a_running_hub(given: argparse.Namespace) -> int:
    from kpwatch.doctor.prometheus_api import reason_of, without_secret

    if given.dry_run:
        raise UsageError("--dry-run works with --data; of a running hub, kpwatch query 'count({…})' tells")
    place, authorization = without_secret(given.url)
    fields = [("match[]", matcher) for matcher in given.matcher]
    fields += [("start", f"{given.start / 1000:.3f}"), ("end", f"{given.end / 1000:.3f}")]
    headers = {"User-Agent": f"kpwatch/{__version__}", **authorization}
    url = place + "/api/v1/admin/tsdb/delete_series"
    request = Request(url, urlencode(fields).encode(), headers, method="POST")  # noqa: S310 - checked by without_secret
    try:
        with urlopen(request, timeout=given.timeout) as response:  # noqa: S310
            series = response.headers.get("X-Kpwatch-Deleted-Series", "?")
            samples = response.headers.get("X-Kpwatch-Deleted-Samples", "?")
    except HTTPError as error:
        with error:
            raise KpwatchError(f"{place} answers {error.code} {reason_of(error.read(1 << 20))}") from error
    except (URLError, OSError) as error:
        raise KpwatchError(f"{place} does not answer: {getattr(error, 'reason', error)}") from error
    print(f"{place}: {samples} samples of {series} series are deleted")
    return 0


def _time(default_ms: int) -> Callable[[str], int]:
    def read(text: str) -> int:
        try:
            return parse_time_ms(text) if text else default_ms
        except ValueError as error:
            raise argparse.ArgumentTypeError(f"{error}: expected Unix seconds or RFC 3339") from error

    return read


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="kpwatch delete",
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    where = parser.add_mutually_exclusive_group(required=True)
    where.add_argument("--data", type=Path, metavar="DIR", help="the --data of a hub that is stopped")
    where.add_argument("--url", metavar="URL", help="a running hub, with the admin's user:secret in it")
    parser.add_argument("matcher", nargs="+", metavar="MATCHER", help="a series selector, such as 'up{job=\"old\"}'")
    parser.add_argument("--start", type=_time(EARLIEST_MS), default="", metavar="TIME", help="Unix seconds or RFC 3339")
    parser.add_argument("--end", type=_time(LATEST_MS), default="", metavar="TIME", help="the same; both are included")
    parser.add_argument("--dry-run", action="store_true", help="say which series, delete nothing")
    parser.add_argument(
        "--timeout", type=float, default=3600.0, metavar="SECONDS", help="how long to wait for a hub (default 3600)"
    )
    return parser
