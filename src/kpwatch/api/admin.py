"""/admin/tsdb/*: what changes what is stored. Only with `--enable-admin-api`, and only for the admin of the auth file.

Prometheus' URLs; where the API is not enabled the answer is Prometheus' too. Every agent has a secret of the auth file
that it writes with, so being in the file is not enough. A page in an admin's browser could post a form here with the
credentials the browser keeps: what another origin sends is refused.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Protocol

from kpwatch.api.answers import failure
from kpwatch.api.forms import read_form
from kpwatch.api.metadata import matcher_sets
from kpwatch.api.params import EARLIEST_MS, LATEST_MS
from kpwatch.base.asgi import Answer
from kpwatch.base.errors import BadQuery, Forbidden, NotFound, TooBusy

if TYPE_CHECKING:
    from collections.abc import Sequence
    from concurrent.futures import Future

    from kpwatch.api.auth import Gate
    from kpwatch.base.asgi import Request
    from kpwatch.base.logs import Logger
    from kpwatch.model.matchers import Matcher
    from kpwatch.model.source import Deleted


class Deleter(Protocol):
    """The part of a store that deletes."""

    def delete(self, selections: Sequence[Sequence[Matcher]], start_ms: int, end_ms: int) -> Future[Deleted]:
        """Delete the samples of matching series in [start_ms, end_ms]; done when no query finds them."""
        ...


class AdminApi:
    """Handlers of /admin/tsdb/*."""

    def __init__(self, store: Deleter | None, gate: Gate | None, user: str, log: Logger) -> None:
        """`user`: who may; "" = the API is not enabled, as it is where there is no store."""
        self._store = store
        self._gate = gate
        self._user = user
        self._log = log

    async def delete_series(self, request: Request) -> Answer:
        """POST, PUT /admin/tsdb/delete_series?match[]=&start=&end=: 204 once no query finds the samples."""
        if not self._user or self._store is None:
            return failure(TooBusy("admin APIs disabled"))
        self._require_admin(request)
        form = await read_form(request)
        selectors = form.all("match[]")
        if not selectors:
            raise BadQuery("no match[] parameter provided")
        start_ms, end_ms = form.time_ms("start", EARLIEST_MS), form.time_ms("end", LATEST_MS)
        if end_ms < start_ms:
            raise BadQuery('invalid parameter "end": end timestamp must not be before start time')
        deleted = await asyncio.wrap_future(self._store.delete(matcher_sets(selectors), start_ms, end_ms))
        self._log.info(
            f"{deleted.samples} samples of {deleted.series} series were deleted: {', '.join(selectors)[:500]},"
            f" {start_ms} to {end_ms} ms"
        )
        counts = (("x-kpwatch-deleted-series", deleted.series), ("x-kpwatch-deleted-samples", deleted.samples))
        return Answer(204, headers=tuple((name, str(count)) for name, count in counts))

    async def snapshot(self, request: Request) -> Answer:
        """POST, PUT /admin/tsdb/snapshot: copies are made by `kpwatch backup`, also of a hub at work."""
        if not self._user:
            return failure(TooBusy("admin APIs disabled"))
        self._require_admin(request)
        raise NotFound("the hub makes no snapshots by URL; run `kpwatch backup` on its host")

    async def clean_tombstones(self, request: Request) -> Answer:
        """POST, PUT /admin/tsdb/clean_tombstones: 204; there are none, deleting gives the space back at once."""
        if not self._user:
            return failure(TooBusy("admin APIs disabled"))
        self._require_admin(request)
        return Answer(204)

    def _require_admin(self, request: Request) -> None:
        origin, host = request.header(b"origin"), request.header(b"host")
        if origin and origin.partition("://")[2] != host:
            raise Forbidden(f"this request was made by a page of {origin[:200]}; only those of this hub may delete")
        if self._gate is None or not self._gate.is_user(request, self._user):
            raise Forbidden(f"only the user {self._user!r} of the auth file may do this (--admin-user)")
