"""Documents of kube-proxies -> samples that the checks can ask, in memory. Pure.

**Time.** Every timestamp kube-proxy exposes is its node's clock, and a monitor's clock may differ from it; a bundle may
be a year old. So each node's world is moved as a whole: its last scrape, by its own clock, is at `NOW_MS`, and metrics
whose unit is a time are moved with it. Then `time() - x`, spans and orders are right, skewed clock or not, and nodes
can be judged together. How far a node was moved is `Desk.moved_seconds`, for telling times as they were.

**Counters.** What is said of increases holds for two scrapes only if zeros that were never exposed are there: a counter
that appears between scrapes of one process counts from 0; one of a process that (re)started counts from 0 at its start,
if that lies between the scrapes, or at most `YOUNG_SECONDS` before the first and it is still the same. Gauges that are
gone end with a staleness marker.

What a scrape itself says (`up`, why it failed, the health pages' answers) is made into the samples that our agent
would have written.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from kpwatch.base.errors import BadInput
from kpwatch.base.http import Answer, Failure
from kpwatch.doctor.words import Said
from kpwatch.exposition import text
from kpwatch.exposition.formats import format_of, grammar_of
from kpwatch.model.labels import make_labels
from kpwatch.model.numbers import STALE_NAN
from kpwatch.model.source import Slice
from kpwatch.scrape.health_documents import read_healthz, read_livez, read_proxy_mode

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from kpwatch.doctor.documents import Node, Reply, Scrape
    from kpwatch.exposition.text import Pairs
    from kpwatch.model.labels import Labels
    from kpwatch.scrape.health_documents import Reading

NOW_MS = 2_000_000_000_000
"""When every node's last scrape is."""
YOUNG_SECONDS = 300.0
JOB = "kube-proxy"

_GATES = b"kubernetes_feature_enabled{"
_START = "process_start_time_seconds"
_READERS: dict[str, Callable[[Answer | Failure, float], Reading]] = {
    "healthz": read_healthz,
    "livez": read_livez,
    "proxy_mode": read_proxy_mode,
}
_SET_SECONDS = 1.0
"""Two clocks that drift apart by so much between two scrapes: one was set."""
_NO_CLOCK_SECONDS = 100 * 365 * 86_400.0
"""Further off is no clock: by such a one nothing is moved."""
_DATE_ERROR_SECONDS = 2.0
"""The Date header has whole seconds, and the answer may have been long on its way."""


CUT_OFF = "cut-off"
_PAIR = 2
_NEAR_SECONDS = 0.25
_NEAR_SHARE = 0.02
"""Spans of scrapes that count as equal."""


class Desk(NamedTuple):
    """The samples of some nodes, and what was learned on the way."""

    slices: list[Slice]
    time_metrics: frozenset[str]
    span_ms: int
    """The longest time between a node's first and last scrape; 0 = there is only one of each."""
    least_span_ms: int
    moved_seconds: dict[str, float]
    """By ident: what was added to its times."""
    unreadable: dict[str, Said]
    """By ident: why its last metrics page says nothing, where something answered."""
    scrapes: dict[str, int]
    """By ident."""


class _Page(NamedTuple):
    """One scrape as numbers."""

    at_seconds: float
    """By the asking clock, then by the node's."""
    values: dict[Labels, float]
    counters: frozenset[Labels]
    started_seconds: float | None
    readable: bool
    clock_offset: float | None
    """The node's clock minus the asking one; None = it did not say."""


class _Read(NamedTuple):
    """A metrics page taken apart."""

    samples: list[tuple[str, Pairs, float]]
    total: int
    """How many samples there are on the page."""
    error: Said | None = None
    """Why it cannot be judged although something answered."""


class Wanted(NamedTuple):
    """What anybody asks for."""

    test: Callable[[str], bool]
    """Whether a metric of that name is."""
    is_counter: Callable[[str], bool]
    times: frozenset[str]
    """Names of those whose value is a time, in unix seconds."""


def lay_out(nodes: Iterable[Node], wanted: Wanted) -> Desk:
    """All of `nodes` on one desk.

    Nodes that were scraped at about the same times share their rows, so that a query looks at all of them at
    once.
    """
    moved: dict[str, float] = {}
    unreadable: dict[str, Said] = {}
    scrapes: dict[str, int] = {}
    sheets = []
    reader = _Reader(wanted)
    for node in nodes:
        pages, error = _pages(node, reader)
        if error:
            unreadable[node.ident] = error
        moved[node.ident] = NOW_MS / 1000 - pages[-1].at_seconds
        scrapes[node.ident] = len(pages)
        sheets.append(_moved(pages, moved[node.ident], wanted.times))
    sheets = _aligned(sheets)
    spans_ms = [span for sheet in sheets if (span := NOW_MS - round(sheet[0].at_seconds * 1000))]
    slices = list(_together([part for sheet in sheets for part in _slices(sheet)]))
    return Desk(slices, wanted.times, max(spans_ms, default=0), min(spans_ms, default=0), moved, unreadable, scrapes)


def _aligned(sheets: list[list[_Page]]) -> list[list[_Page]]:
    """Pairs of scrapes whose spans are about equal get the same one: nodes asked at once differ by milliseconds."""
    spans = sorted(sheet[-1].at_seconds - sheet[0].at_seconds for sheet in sheets if len(sheet) == _PAIR)
    if not spans:
        return sheets
    usual = round(spans[len(spans) // 2], 3)
    near = max(_NEAR_SECONDS, _NEAR_SHARE * usual)
    return [
        [sheet[0]._replace(at_seconds=sheet[1].at_seconds - usual), sheet[1]]
        if len(sheet) == _PAIR and abs(sheet[1].at_seconds - sheet[0].at_seconds - usual) < near
        else sheet
        for sheet in sheets
    ]


def _together(slices: Iterable[Slice]) -> Iterator[Slice]:
    """Slices with the same timestamps as one."""
    by_times: dict[bytes, list[Slice]] = {}
    for part in slices:
        by_times.setdefault(part.timestamps_ms.tobytes(), []).append(part)
    for parts in by_times.values():
        series = [labels for part in parts for labels in part.series]
        yield Slice(series, parts[0].timestamps_ms, np.concatenate([part.values for part in parts], axis=1))


def _pages(node: Node, reader: _Reader) -> tuple[list[_Page], Said | None]:
    """Every scrape as numbers, times strictly increasing; why the last one's metrics cannot be read."""
    own = {"ident": node.ident, "instance": node.url or node.ident, "job": JOB}
    pages: list[_Page] = []
    error: Said | None = None
    for scrape in node.scrapes:
        page, error = _page(scrape, own, reader, is_last=scrape is node.scrapes[-1])
        pages.append(page)
    offset = next((page.clock_offset for page in reversed(pages) if page.clock_offset is not None), 0.0)
    at_seconds, placed = pages[-1].at_seconds + offset, []
    for page, after in zip(reversed(pages), [None, *reversed(pages)], strict=False):
        at_seconds -= _between(page, after) if after else 0.0
        placed.append(page._replace(at_seconds=at_seconds))
    return placed[::-1], error


def _between(page: _Page, after: _Page) -> float:
    """Seconds between two scrapes; where one of the clocks was set meanwhile, the other's."""
    asker = after.at_seconds - page.at_seconds
    node = asker + (after.clock_offset or 0.0) - (page.clock_offset or 0.0)
    if page.clock_offset is None or after.clock_offset is None or abs(node - asker) < _SET_SECONDS:
        node = asker
    return min((seconds for seconds in (asker, node) if seconds > 0), default=0.001)


def _page(scrape: Scrape, own: dict[str, str], reader: _Reader, *, is_last: bool) -> tuple[_Page, Said | None]:
    values: dict[Labels, float] = {}
    for document, read_page in _READERS.items():
        if document in scrape.replies:
            page = scrape.replies[document]
            for sample in read_page(page.outcome, page.middle_seconds).samples:
                values[make_labels({**dict(sample.labels), **own, "__name__": sample.name})] = sample.value
    offset = _clock_offset(scrape, values, own)
    if "metrics" not in scrape.replies:
        unasked = _Page(scrape.at_seconds, values, frozenset(), None, readable=False, clock_offset=offset)
        return unasked, Said("not-asked")
    reply = scrape.replies["metrics"]
    read = reader.read(reply, is_last=is_last)
    for name, value, about in _about(reply, read):
        values[make_labels({**about, **own, "__name__": name})] = value
    counters = set()
    for name, pairs, value in read.samples:
        labels = make_labels({**dict(pairs), **own, "__name__": name})
        values[labels] = value
        if reader.is_counter(name):
            counters.add(labels)
    started = values.get(make_labels({**own, "__name__": _START}))
    readable = bool(read.samples)
    return _Page(reply.middle_seconds, values, frozenset(counters), started, readable, offset), read.error


def _clock_offset(scrape: Scrape, values: dict[Labels, float], own: dict[str, str]) -> float | None:
    """The node's clock minus the asking one: as the health page says, else by a Date header that is clearly off."""
    key = make_labels({**own, "__name__": "kpwatch_clock_offset_seconds"})
    if key in values:
        return values[key] if abs(values[key]) < _NO_CLOCK_SECONDS else None
    for reply in scrape.replies.values():
        date = reply.outcome.headers.get("date") if isinstance(reply.outcome, Answer) else None
        if date:
            offset = _date_seconds(date, reply) - reply.middle_seconds
            if abs(offset) > _DATE_ERROR_SECONDS + reply.took_seconds:
                values[key] = offset
                return offset
    return None


def _date_seconds(date: str, reply: Reply) -> float:
    from email.utils import parsedate_to_datetime  # noqa: PLC0415 - few documents have such a header

    try:
        return parsedate_to_datetime(date).timestamp()
    except (ValueError, OverflowError):
        return reply.middle_seconds


_METRICS_BEGIN = re.compile(rb"\s*(#|[a-zA-Z_:][\w:]*(\{|\s+[-+\d]))")
"""What is cut off must have been one."""
_FAMILY_END = re.compile(rb"([a-zA-Z_:][\w:]*?)(_bucket|_sum)?(?:\{.*\})? -?[\d.]+(?:e[-+]\d+)?")
_BEHIND_THE_LAST_OF_ITS_OWN = b"\n" + _START.encode() + b" "
"""Families stand in alphabetical order: who has this has all of kube-proxy's."""


def _is_cut_off(answer: Answer) -> bool:
    """Whether the page is shorter than it was, as far as can be seen.

    A real one ends with a line end, and with all that its Content-Length promises. Somebody's editor may have taken the
    line end away; that is forgiven where the last line is one at which such a page may end.
    """
    body, promised = answer.body, answer.headers.get("content-length", "")
    if promised.isdecimal() and "content-encoding" not in answer.headers and int(promised) >= len(body):
        return int(promised) > len(body)
    if body.endswith(b"\n") or not _METRICS_BEGIN.match(body):
        return False
    last = _FAMILY_END.fullmatch(body.rpartition(b"\n")[2])
    return last is None or bool(last[2]) or _BEHIND_THE_LAST_OF_ITS_OWN not in body


_UNREADABLE: tuple[tuple[Callable[[Answer], object], str], ...] = (
    (lambda answer: answer.status != 200, "status"),
    (lambda answer: answer.headers.get("content-type", "").startswith("text/html"), "html"),
    (lambda answer: answer.body.lstrip()[:1] == b"<", "html"),
    (lambda answer: not answer.body.strip(), "empty"),
    (_is_cut_off, CUT_OFF),
)
"""What an answer can be that is no metrics page: the sentences' keys."""


class _Reader:
    """Reads metrics pages: only what anybody asks for, and each head (name and labels) once for all pages."""

    def __init__(self, wanted: Wanted) -> None:
        self._wanted = wanted
        self._names: dict[bytes, bool] = {}
        self._heads: dict[bytes, tuple[str, Pairs]] = {}
        self._gate_lists: set[bytes] = set()

    def read(self, reply: Reply, *, is_last: bool) -> _Read:
        """One page; `total` counts what nobody asks for too."""
        answer = reply.outcome
        if isinstance(answer, Failure):
            broke_off = answer.reason in ("cut", "too_large", "bad_http")
            return _Read([], 0, Said("broke-off", (answer.detail,)) if broke_off else None)
        for is_so, key in _UNREADABLE:
            if is_so(answer):
                return _Read([], 0, Said(key, (str(answer.status),)))
        lines = [line for line in answer.body.split(b"\n") if line and not line.startswith(b"#")]
        samples = list(self._samples(self._told_once(lines, is_last=is_last)))
        if not samples:  # another component's page, or none at all
            parsed = grammar_of(format_of(answer.headers.get("content-type", ""))).parse(answer.body)
            samples = [(sample.name, sample.labels, sample.value) for sample in parsed.samples]
        return _Read(samples, len(lines), None if samples else Said("no-metric"))

    def _told_once(self, lines: list[bytes], *, is_last: bool) -> list[bytes]:
        """Without a list of feature gates that another node had: a third of a page, asked for differences only."""
        gates = [line for line in lines if line.startswith(_GATES)]
        block = b"\n".join(gates)
        if is_last and block not in self._gate_lists:
            self._gate_lists.add(block)
            return lines
        return [line for line in lines if not line.startswith(_GATES)]

    def _samples(self, lines: Iterable[bytes]) -> Iterator[tuple[str, Pairs, float]]:
        for line in lines:
            if not self._is_wanted(line.partition(b"{")[0].partition(b" ")[0]):
                continue
            try:
                head, rest = text.split_line(line)
                if head not in self._heads:
                    self._heads[head] = text.read_head(head)
                value, _ = text.read_rest(rest)
            except (text.Broken, BadInput):
                continue  # one broken line costs nobody else anything; a page of nothing else is "no metric"
            name, pairs = self._heads[head]
            yield name, pairs, value

    def is_counter(self, name: str) -> bool:
        """Whether its zeros may be missing."""
        return self._wanted.is_counter(name)

    def _is_wanted(self, name: bytes) -> bool:
        known = self._names.get(name)
        if known is None:
            known = self._names[name] = self._wanted.test(name.decode(errors="replace"))
        return known


def _about(reply: Reply, read: _Read) -> Iterator[tuple[str, float, dict[str, str]]]:
    """`up` and its kin; nothing where something answered that cannot be judged."""
    outcome = reply.outcome
    if isinstance(outcome, Failure):
        if not read.error:
            yield "up", 0.0, {}
            yield "scrape_error_info", 1.0, {"reason": outcome.reason}
    elif read.samples:
        yield "up", 1.0, {}
        yield "scrape_samples_scraped", float(read.total), {}
    elif read.error is None or read.error.key != CUT_OFF:
        yield "up", 0.0, {}
        reason = "not_metrics" if outcome.status == 200 else f"http_{outcome.status}"
        yield "scrape_error_info", 1.0, {"reason": reason}


def _moved(pages: Sequence[_Page], by_seconds: float, time_metrics: frozenset[str]) -> list[_Page]:
    """The pages with all their times moved; 0 and less is no time but "never"."""
    return [
        _Page(
            page.at_seconds + by_seconds,
            {
                labels: value + by_seconds if value > 0 and _name(labels) in time_metrics else value
                for labels, value in page.values.items()
            },
            page.counters,
            None if page.started_seconds is None else page.started_seconds + by_seconds,
            page.readable,
            page.clock_offset,
        )
        for page in pages
    ]


def _name(labels: Labels) -> str:
    return next(value for name, value in labels if name == "__name__")


def _slices(pages: Sequence[_Page]) -> Iterator[Slice]:
    counters = list(dict.fromkeys(labels for page in pages for labels in page.counters))
    gauges = list(dict.fromkeys(labels for page in pages for labels in page.values.keys() - set(counters)))
    if gauges:
        rows = [[page.values.get(labels, STALE_NAN) for labels in gauges] for page in pages]
        yield Slice(gauges, _ms(page.at_seconds for page in pages), np.asarray(rows, np.float64))
    if counters:
        rows_at = list(_counter_rows(pages))
        rows = [[row.get(labels, STALE_NAN) for labels in counters] for _, row in rows_at]
        yield Slice(counters, _ms(at for at, _ in rows_at), np.asarray(rows, np.float64))


def _ms(seconds: Iterable[float]) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    times_ms = np.asarray([round(each * 1000) for each in seconds], np.int64)
    return np.maximum.accumulate(times_ms + np.arange(len(times_ms))) if (np.diff(times_ms) <= 0).any() else times_ms


def _counter_rows(pages: Sequence[_Page]) -> Iterator[tuple[float, Mapping[Labels, float]]]:
    """Rows in order of time, the zeros that no scrape showed among them."""
    for number, page in enumerate(pages):
        before = pages[number - 1] if number else None
        started = page.started_seconds
        if page.readable and started is not None and started < page.at_seconds:
            is_todays = started == pages[-1].started_seconds
            young = (
                is_todays and page.at_seconds - started < YOUNG_SECONDS
                if before is None
                else started > before.at_seconds
            )
            if young:
                yield started, dict.fromkeys(page.counters, 0.0)
        zeros = _appearing(page, pages[number + 1]) if number + 1 < len(pages) else {}
        yield page.at_seconds, {**zeros, **{labels: page.values[labels] for labels in page.counters}}


def _appearing(page: _Page, after: _Page) -> dict[Labels, float]:
    """0 for every counter that the next scrape of the same process shows first."""
    if not page.readable or page.started_seconds != after.started_seconds:
        return {}
    return dict.fromkeys(after.counters - page.counters, 0.0)
