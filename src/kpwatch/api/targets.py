"""/targets, /targets/metadata, /scrape_pools: what is scraped, told from the agents' own reports.

The hub scrapes nothing. An agent sends `up` for every target at every scrape, and beside it how long the scrape took
and why it failed; that is what a Prometheus would say of the target, so it is said in its shape. What an agent does
not send (its timeout, targets it dropped) is empty.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from itertools import islice, pairwise
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from kpwatch.api.answers import success
from kpwatch.api.encoding import accepted_coding, encoded
from kpwatch.api.forms import read_form
from kpwatch.api.metadata import matchers_of
from kpwatch.base.clock import utc_text
from kpwatch.base.errors import BadQuery
from kpwatch.model.labels import METRIC_NAME, metric_name
from kpwatch.model.results import Matrix, Vector

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from kpwatch.api.params import Form
    from kpwatch.api.query import EngineMaker, QueryEngine
    from kpwatch.api.workers import Workers
    from kpwatch.base.asgi import Answer, Request
    from kpwatch.base.clock import Clock
    from kpwatch.model.labels import Labels

_OF_TARGET = ("ident", "instance", "job")
_LOOPBACK = ("127.0.0.1", "localhost", "::1")


@dataclass(frozen=True, slots=True)
class Target:
    """What is known of one."""

    labels: dict[str, str]
    is_up: bool
    last_scrape_ms: int
    interval_ms: int
    """0 = only one scrape has been seen."""
    duration_seconds: float
    error: str

    def described(self) -> dict[str, Any]:
        """In Prometheus' shape."""
        pool = self.labels.get("job", "")
        scheme, address, path = _place(self.labels.get("instance", ""))
        url = f"{scheme}://{address}{path}"
        return {
            "discoveredLabels": {
                "__address__": address,
                "__metrics_path__": path,
                "__scheme__": scheme,
                "job": pool,
            },
            "labels": self.labels,
            "scrapePool": pool,
            "scrapeUrl": url,
            "globalUrl": _seen_from_elsewhere(url, self.labels.get("ident", "")),
            "lastError": self.error,
            "lastScrape": utc_text(self.last_scrape_ms / 1000),
            "lastScrapeDuration": self.duration_seconds,
            "health": "up" if self.is_up else "down",
            "scrapeInterval": f"{self.interval_ms / 1000:g}s" if self.interval_ms else "",
            "scrapeTimeout": "",
        }


class TargetsApi:
    """Handlers of /targets and /scrape_pools."""

    def __init__(
        self,
        engine: EngineMaker,
        workers: Workers,
        clock: Clock,
        families: Callable[[], Iterable[tuple[str, list[dict[str, str]]]]],
    ) -> None:
        """`families`: what is known of metrics, by family; see `DescribingApi`."""
        self._families = families
        self._engine = engine
        self._workers = workers
        self._clock = clock

    async def targets(self, request: Request) -> Answer:
        """GET /targets?state=&scrapePool=."""
        form = await read_form(request)
        state, pool = form.text("state").lower(), form.text("scrapePool")
        shows_active, shows_dropped = state in ("", "any", "active"), state in ("", "any", "dropped")
        coding = accepted_coding(request)

        def work() -> Answer:
            shown = [one.described() for one in self._known()] if shows_active else []
            active = [one for one in shown if pool in ("", one["scrapePool"])]
            counts: dict[str, int] | None = {} if shows_dropped else None
            told = {"activeTargets": active, "droppedTargets": [], "droppedTargetCounts": counts}
            return encoded(success(told), coding)

        return await self._workers.run(work)

    async def scrape_pools(self, _: Request) -> Answer:
        """GET /scrape_pools: the jobs."""
        pools = await self._workers.run(lambda: sorted({one.labels.get("job", "") for one in self._known()}))
        return success({"scrapePools": pools})

    async def pool_config(self, request: Request) -> Answer:
        """GET /scrape_pools/config?scrapePool=: nobody here knows."""
        form = await read_form(request)
        raise _no_config(_required(form, "scrapePool"))

    async def relabel_steps(self, request: Request) -> Answer:
        """GET /targets/relabel_steps?scrapePool=&labels=: nobody here knows."""
        form = await read_form(request)
        pool = _required(form, "scrapePool")
        try:
            json.loads(_required(form, "labels"))
        except ValueError as error:
            raise BadQuery(f"error parsing labels: {error}") from error
        raise _no_config(pool)

    async def metadata(self, request: Request) -> Answer:
        """GET /targets/metadata?match_target=&metric=&limit=: what is known of the metrics that each target has."""
        form = await read_form(request)
        limit, metric, matched = form.whole("limit"), form.text("metric"), form.text("match_target")
        coding = accepted_coding(request)

        def work() -> Answer:
            if matched:
                matchers_of(matched, "match_target")  # is a selector
            rows = self._described_metrics(matched or _selector_of(metric), metric)
            kept = rows if limit is None or limit < 0 else islice(rows, limit)
            return encoded(success(list(kept)), coding)

        return await self._workers.run(work)

    def _described_metrics(self, selector: str, only: str) -> Iterator[dict[str, Any]]:
        families = dict(self._families())
        engine = self._engine(self._workers.timeout_seconds)
        query = f"group by (__name__, {', '.join(_OF_TARGET)}) ({selector})"
        value = engine.instant(query, self._clock.unix_ms()).value
        has: dict[tuple[Labels, str], None] = {}
        for labels, _ in value.samples if isinstance(value, Vector) else ():
            family = _family_of(metric_name(labels), families)
            if family is not None and only in ("", family):
                has[_target(labels), family] = None
        for target, family in sorted(has):
            for row in families[family]:
                yield {"target": dict(target), **({} if only else {"metric": family}), **row}

    def _known(self) -> list[Target]:
        engine = self._engine(self._workers.timeout_seconds)
        return sorted(known_targets(engine, self._clock.unix_ms()), key=lambda one: sorted(one.labels.items()))


def _required(form: Form, name: str) -> str:
    text = form.text(name)
    if not text:
        raise BadQuery(f"no {name} parameter provided")
    return text


def _no_config(pool: str) -> BadQuery:
    return BadQuery(
        f'error retrieving scrape config: scrape pool "{pool[:100]}" not found: '
        "agents keep their configuration to themselves"
    )


def _selector_of(family: str) -> str:
    """Every series, or those of a family, each with its suffix."""
    from kpwatch.promql.pretty import quote  # noqa: PLC0415 - loads the parser, so not at the hub's start

    return f"{{__name__=~{quote(re.escape(family) + _SUFFIX)}}}" if family else '{job!=""}'


_SUFFIX = "(_bucket|_sum|_count|_total|_info)?"
_SUFFIXED = re.compile("(.+?)" + _SUFFIX)


def _family_of(name: str, families: Mapping[str, object]) -> str | None:
    """The family that a series' name belongs to, if any is known."""
    stem = _SUFFIXED.fullmatch(name)
    return next((one for one in (name, stem[1] if stem else "") if one in families), None)


def known_targets(engine: QueryEngine, at_ms: int) -> Iterator[Target]:
    """Every target that has reported within the lookback and did not end; raises QueryError."""
    states = _by_target(engine, "up", at_ms)
    durations = _by_target(engine, "scrape_duration_seconds", at_ms)
    errors = {
        tuple(pair for pair in key if pair[0] != "reason"): dict(key).get("reason", "")
        for key in _by_target(engine, "scrape_error_info", at_ms)
    }
    for key, times_ms in _scrape_times_ms(engine, at_ms):
        if key in states:
            gaps = [later - earlier for earlier, later in pairwise(times_ms)]
            is_up = states[key] > 0
            yield Target(
                dict(key), is_up, times_ms[-1], _usual(gaps), durations.get(key, 0.0),
                "" if is_up else errors.get(key, "the target did not answer"),
            )  # fmt: skip


def _usual(gaps_ms: list[int]) -> int:
    """The middle one: a scrape that is missing makes one gap longer, an agent that starts anew makes one shorter."""
    return sorted(gaps_ms)[len(gaps_ms) // 2] if gaps_ms else 0


def _by_target(engine: QueryEngine, metric: str, at_ms: int) -> dict[Labels, float]:
    value = engine.instant(metric, at_ms).value
    return {_target(labels): number for labels, number in value.samples} if isinstance(value, Vector) else {}


def _scrape_times_ms(engine: QueryEngine, at_ms: int) -> Iterator[tuple[Labels, list[int]]]:
    value = engine.instant("up[5m]", at_ms).value
    for one in value.series if isinstance(value, Matrix) else ():
        yield _target(one.labels), one.timestamps_ms.tolist()


def _target(labels: Labels) -> Labels:
    return tuple(pair for pair in labels if pair[0] != METRIC_NAME)


def _place(instance: str) -> tuple[str, str, str]:
    """Scheme, address and path of an `instance`: a URL as our agent and Categraf have it, or Prometheus' host:port."""
    if "://" not in instance:
        return "http", instance, "/metrics"
    try:
        parts = urlsplit(instance)
    except ValueError:
        return "http", instance, "/metrics"
    return parts.scheme, parts.netloc, parts.path or "/"


def _seen_from_elsewhere(url: str, ident: str) -> str:
    """The URL with the node's name for an address that only the node itself has."""
    try:
        parts = urlsplit(url)
        if not ident or parts.hostname not in _LOOPBACK:
            return url
        port = f":{parts.port}" if parts.port else ""
    except ValueError:
        return url
    return parts._replace(netloc=ident + port).geturl()
