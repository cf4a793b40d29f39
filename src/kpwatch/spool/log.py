"""The spool: every scrape is on disk before it is sent, once, whatever the number of writers.

    append(scrape) -> one record of the log -> each writer's Reader takes it, sends it, settles it

- A scrape is safe from `kill -9` when `append` returns, and from the machine after the next `tick` (fdatasync) unless
  it was delivered by then: nobody needs it any more, and what is sent twice after a crash is the same twice.
- A position in the spool is a *total*: how many samples were appended up to there, ever. Every record carries its own:
  what waits for a reader is a difference of two numbers, and a gap between two records is a loss that can be counted.
- Cursors are records of the log itself: each delivery appends one, each segment begins with all of them. There is no
  second file that could be lost or disagree.
- Readers see records in the order of the log, so a series never goes out of order, whatever the clock did.
- Bounds in bytes and age drop whole segments from the front; what a reader had not settled of them is counted.
- A disk that is full stops nothing: scrapes then wait in memory, bounded, and go to the log, in order, when it has room
  again. Without a directory the spool is memory from the start.
"""

from __future__ import annotations

import struct
from collections import deque
from typing import TYPE_CHECKING

from kpwatch.base.named import NamedTuple
from kpwatch.base.recordlog import MAGIC
from kpwatch.model.encoded import FORMS, EncodedScrape, Form

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    Convert = Callable[[EncodedScrape, Form, Form], EncodedScrape]

    from kpwatch.base.clock import Clock
    from kpwatch.base.recordlog import Record, RecordLog, Segment
    from kpwatch.spool.options import SpoolOptions

SCRAPE = 1
CURSORS = 2
_PLACES_KEPT = 256
_SCRAPE_HEAD = struct.Struct("<B3sIqQ")  # form, source, samples, timestamp_ms, total behind this record


class _Entry(NamedTuple):
    """One scrape, in every form that was asked for."""

    total: int
    samples: int
    forms: Mapping[Form, EncodedScrape]
    size_bytes: int

    @property
    def begins(self) -> int:
        return self.total - self.samples


class SpoolCounts:
    """What happened to samples, for whoever shows it."""

    def __init__(self) -> None:
        self.lost: dict[str, int] = {}
        """Reader -> samples it will never get."""
        self.damaged_bytes = 0
        self.write_failures = 0


class Spool:
    """The log, its readers, and what waits in memory."""

    def __init__(
        self,
        options: SpoolOptions,
        log: RecordLog | None,
        convert: Convert,
        clock: Clock,
        release: Callable[[], None] = lambda: None,
    ) -> None:
        """Memory only where `log` is None.

        `convert(scrape, written, wanted)` turns a scrape into another form; `release` gives the directory free at the
        end.
        """
        self._options = options
        self._release = release
        self._log = log
        self._convert = convert
        self._clock = clock
        self.counts = SpoolCounts()
        self.problem = ""
        """Why scrapes are not on disk at the moment, or ""."""
        self.total = 0
        self._recent: deque[_Entry] = deque()
        """The newest entries; those from `_written` on are not on disk."""
        self._recent_bytes = 0
        self._places: dict[int, tuple[int, int]] = {}
        """Where in the log a scrape ends that was read back lately: total behind it -> (segment, offset)."""
        self._unwritten = 0
        self._cursors_due = False
        self._readers: dict[str, Reader] = {}
        self._segment_totals: list[int] = []
        """For each segment of the log: the total where it begins."""
        self._restored: dict[str, int] | None = None
        if log is not None:
            self._restore(log)

    # Writers' side.

    def reader(self, key: str, form: Form) -> Reader:
        """The reader of the writer `key`: where it left off, or from now on where the log does not know it.

        Where the log has records but no cursors (they were damaged), from its beginning: twice is better than never.
        """
        oldest = self._segment_totals[0] if self._segment_totals else self.total
        cursor = oldest if self._restored is None else self._restored.get(key, self.total)
        reader = Reader(self, key, form, max(cursor, oldest))
        self._readers[key] = reader
        self.counts.lost.setdefault(key, 0)
        return reader

    def forget(self, key: str) -> int:
        """Nobody reads for the writer `key` any more; gives how many samples waited for it.

        Should it come back, it begins with what is appended then.
        """
        reader = self._readers.pop(key)
        (self._restored or {}).pop(key, None)
        if self._restored is None:
            self._restored = {}
        self.note_settled()
        return reader.samples

    def change_bounds(self, options: SpoolOptions) -> None:
        """Other bounds from now on; the directory stays what it was."""
        self._options = options._replace(directory=self._options.directory)

    def forgotten(self) -> dict[str, int]:
        """Writers the log knows and nobody reads for any more -> samples that waited for them."""
        return {key: self.total - cursor for key, cursor in (self._restored or {}).items() if key not in self._readers}

    # Scrapes' side.

    def append(self, forms: Mapping[Form, EncodedScrape]) -> None:
        """Keep one scrape; the first form is the one that goes to disk. Without readers nothing is kept."""
        if not self._readers:
            return
        primary = next(iter(forms.values()))
        self.total += primary.samples
        size = sum(len(scrape.block) for scrape in forms.values())
        self._recent.append(_Entry(self.total, primary.samples, forms, size))
        self._recent_bytes += size
        self._unwritten += 1
        if self._unwritten == 1:
            self._write_out()
        self._bound_recent()
        if self._log is not None and self._log.unsynced_bytes >= self._options.sync_bytes:
            self._try(self._log.sync)

    def tick(self) -> None:
        """Once a second: sync what waits, try a failed disk again, let go of what is too old or too much."""
        if self._log is None:
            return
        self._write_out()
        if self._cursors_due and self._log.segments:
            self._write_cursors()
        if any(reader.samples for reader in self._readers.values()):
            self._try(self._log.sync)
        self._bound_log()

    @property
    def restless(self) -> bool:
        """Whether there is something to do for the next tick, though nothing is appended until then."""
        waits = any(reader.samples for reader in self._readers.values())
        return self._log is not None and bool(waits or self._unwritten or self._cursors_due or self.problem)

    def close(self) -> None:
        """Write and sync what can be; the readers' cursors are in the log already."""
        if self._log is not None:
            self.tick()
            self._try(self._log.close)
        self._release()

    @property
    def size_bytes(self) -> int:
        """On disk and waiting in memory."""
        return (self._log.size_bytes if self._log is not None else 0) + self._recent_bytes

    @property
    def on_disk(self) -> bool:
        """Whether everything that waits survives a kill."""
        return self._log is not None and not self._unwritten

    @property
    def unwritten(self) -> int:
        """Scrapes that are only in memory."""
        return self._unwritten

    # Inside: disk.

    def _write_out(self) -> None:
        """Bring what is only in memory to the log, oldest first, until the disk refuses."""
        if self._log is None:
            return
        while self._unwritten:
            entry = self._recent[-self._unwritten]
            form, scrape = next(iter(entry.forms.items()))
            source = scrape.source.to_bytes(3, "little")
            head = _SCRAPE_HEAD.pack(FORMS.index(form), source, entry.samples, scrape.timestamp_ms, entry.total)
            if not self._put(entry.begins, SCRAPE, head, scrape.block):
                return
            self._unwritten -= 1

    def _put(self, begins: int, kind: int, *payload: bytes) -> bool:
        """Append a record, beginning a segment with the cursors where one is due; False where the disk refuses."""
        assert self._log is not None
        try:
            if self._log.wants_new_segment:
                self._log.append(CURSORS, self._cursors_payload(begins))
                self._segment_totals.append(begins)
                self._bound_log()
            self._log.append(kind, *payload)
        except OSError as error:
            self.counts.write_failures += 1
            self.problem = f"{error.strerror or error}"
            del self._segment_totals[len(self._log.segments) :]
            return False
        self.problem = ""
        return True

    def _try(self, action: Callable[[], object]) -> bool:
        try:
            action()
        except OSError as error:
            self.counts.write_failures += 1
            self.problem = f"{error.strerror or error}"
            return False
        return True

    def note_settled(self) -> None:
        """A reader moved: remember it, and let go of what nobody needs any more."""
        slowest = min((reader.cursor for reader in self._readers.values()), default=self.total)
        while self._recent and self._recent[0].total <= slowest:
            self._forget_oldest()
        if self._log is None or not self._log.segments:
            return
        self._write_cursors()
        while len(self._segment_totals) > 1 and self._segment_totals[1] <= slowest:
            self._drop_first_segment()

    def _write_cursors(self) -> None:
        """Into the segment being written, full or not: a delivery that is forgotten would be repeated."""
        assert self._log is not None
        behind = self._recent[-self._unwritten].begins if self._unwritten else self.total
        payload, log = self._cursors_payload(behind), self._log
        self._cursors_due = not self._try(lambda: log.append(CURSORS, payload, extend=True))

    def _cursors_payload(self, total: int) -> bytes:
        """The total at this place of the log, then a line for each reader."""
        lines = [f"{reader.cursor} {key}" for key, reader in self._readers.items()]
        return "\n".join([str(total), *lines]).encode()

    def _drop_first_segment(self) -> None:
        assert self._log is not None
        self._try(self._log.drop_first_segment)
        self._segment_totals.pop(0)

    def _bound_log(self) -> None:
        assert self._log is not None
        oldest_allowed = self._clock.unix_seconds() - self._options.max_age_seconds
        while len(self._segment_totals) > 1 and (
            self._log.size_bytes > self._options.max_bytes or self._log.segments[0].modified_seconds() < oldest_allowed
        ):
            self._drop_first_segment()
            for reader in self._readers.values():
                reader.skip_to(self._segment_totals[0])

    # Inside: memory.

    def _bound_recent(self) -> None:
        """On disk: keep a little, for writers that keep up. Only in memory: keep much, then drop the oldest."""
        while len(self._recent) > 1:
            on_disk = self._log is not None and self._unwritten < len(self._recent)
            limit_bytes = self._options.recent_bytes if on_disk else self._options.memory_bytes
            over = self._recent_bytes > limit_bytes
            if not on_disk:
                over = over or self.total - self._recent[0].begins > self._options.memory_samples
            if not over:
                return
            entry = self._forget_oldest()
            if not on_disk:
                for reader in self._readers.values():
                    if reader.cursor >= entry.begins:
                        reader.skip_to(entry.total)

    def _forget_oldest(self) -> _Entry:
        entry = self._recent.popleft()
        self._recent_bytes -= entry.size_bytes
        self._unwritten = min(self._unwritten, len(self._recent))
        return entry

    # Inside: reading back.

    def entries_after(self, cursor: int) -> Iterator[tuple[int, int, Mapping[Form, EncodedScrape]]]:
        """(begins, total, forms) of everything behind `cursor`, from disk as far as memory does not reach back."""
        if cursor >= self.total:
            return  # a look at the disk would read a segment to find nothing
        position = cursor
        if not self._recent or self._recent[0].begins > position:
            for entry in self._stored_after(position):
                yield entry.begins, entry.total, entry.forms
                position = entry.total
        for entry in tuple(self._recent):
            if entry.total > position:
                yield entry.begins, entry.total, entry.forms
                position = entry.total

    def _stored_after(self, cursor: int) -> Iterator[_Entry]:
        if self._log is None:
            return
        segments = list(zip(self._log.segments, self._segment_totals, strict=True))
        first = max((index for index, (_, begins) in enumerate(segments) if begins <= cursor), default=0)
        sequence, end = self._places.get(cursor, (0, len(MAGIC)))
        for segment, _ in segments[first:]:
            for record in self._records(segment, end if segment.first_sequence == sequence else len(MAGIC)):
                if record.kind == SCRAPE:
                    entry = _read_entry(record.payload)
                    if entry.total > cursor:
                        self._note_place(entry.total, segment, record.end)
                        yield entry

    def _note_place(self, total: int, segment: Segment, end: int) -> None:
        self._places[total] = segment.first_sequence, end
        if len(self._places) > _PLACES_KEPT:
            del self._places[next(iter(self._places))]

    def _records(self, segment: Segment, offset: int = len(MAGIC)) -> Iterator[Record]:
        try:
            for record in segment.records(offset):
                if record.kind is None:
                    self.counts.damaged_bytes += len(record.payload)
                else:
                    yield record
        except OSError as error:
            self.problem = f"cannot read {segment.path}: {error.strerror or error}"

    def _restore(self, log: RecordLog) -> None:
        for segment in log.segments:
            first = next((record for record in self._records(segment) if record.kind == CURSORS), None)
            begins = int(first.payload.split(b"\n", 1)[0]) if first is not None else self.total
            self._segment_totals.append(begins)
            self.total = max(self.total, begins)
        for segment in reversed(log.segments):
            for record in self._records(segment):
                if record.kind == SCRAPE:
                    self.total = max(self.total, _read_entry(record.payload).total)
                elif record.kind == CURSORS:
                    self._restored = read_cursors(record.payload)
            if self._restored is not None:
                break
        self.total = max([self.total, *(self._restored or {}).values()])
        if not log.segments:
            self._restored = {}

    def in_form(self, forms: Mapping[Form, EncodedScrape], form: Form) -> EncodedScrape:
        """One scrape in the form a reader wants, converted where it is not at hand."""
        at_hand = forms.get(form)
        if at_hand is not None:
            return at_hand
        written = next((other for other in forms if other.ident == form.ident), next(iter(forms)))
        return self._convert(forms[written], written, form)


class Reader:
    """One writer's way through the spool."""

    def __init__(self, spool: Spool, key: str, form: Form, cursor: int) -> None:
        self.key = key
        self.form = form
        self.cursor = cursor
        self._spool = spool
        self._taken = cursor
        self._oldest: tuple[int, int | None] | None = None
        """A cursor and what `oldest_ms` was there."""
        self._missing = 0
        """Samples that gaps in the log hide from the batch that was taken."""
        self._at_risk = 0
        """Samples of the batch that was taken whose only copy is on its way: lost if it does not arrive."""

    @property
    def samples(self) -> int:
        """Samples that wait."""
        return self._spool.total - self.cursor

    @property
    def oldest_ms(self) -> int | None:
        """Timestamp of the scrape that waits longest; None where none waits."""
        if self.samples == 0:
            return None
        if self._oldest is None or self._oldest[0] != self.cursor:
            first = next(self._spool.entries_after(self.cursor), None)
            stamp = next(iter(first[2].values())).timestamp_ms if first is not None else None
            self._oldest = self.cursor, stamp  # a backlog on disk is not read again before it moves
        return self._oldest[1]

    @property
    def survives(self) -> bool:
        """Whether what waits will be there for the next process."""
        return self._spool.on_disk

    @property
    def lost(self) -> int:
        """Samples it will never get."""
        return self._spool.counts.lost[self.key]

    def take(self, batch_samples: int, *, batch_scrapes: int = 1 << 30) -> list[EncodedScrape]:
        """The oldest scrapes that fit, at least one where any waits; they stay until `settle`."""
        self._spool.counts.lost[self.key] += self._at_risk
        self._taken, self._missing, self._at_risk = self.cursor, 0, 0
        batch: list[EncodedScrape] = []
        samples = 0
        for begins, total, forms in self._spool.entries_after(self.cursor):
            samples += total - begins
            if batch and (samples > batch_samples or len(batch) >= batch_scrapes):
                break
            self._missing += max(0, begins - self._taken)
            batch.append(self._spool.in_form(forms, self.form))
            self._taken = total
        return batch

    def drop_older(self, timestamp_ms: int, most_samples: int) -> int:
        """Give up what waits first, as far as its scrapes are older; gives the samples.

        Once `most_samples` are given up it ends, with more to do perhaps: nobody waits long for a long backlog.
        """
        begin, missing, dropped = self.cursor, self._at_risk, 0
        self._at_risk = 0
        for begins, total, forms in self._spool.entries_after(begin):
            if next(iter(forms.values())).timestamp_ms >= timestamp_ms or self.cursor - begin >= most_samples:
                break
            gap = max(0, begins - self.cursor)
            missing += gap
            dropped += total - self.cursor - gap
            self.cursor = total
        self._spool.counts.lost[self.key] += missing
        if self.cursor > begin:
            self._taken, self._missing = self.cursor, 0
            self._spool.note_settled()
        return dropped

    def settle(self) -> None:
        """What was taken is delivered or given up."""
        self._spool.counts.lost[self.key] += self._missing
        self._missing = self._at_risk = 0
        if self._taken > self.cursor:
            self.cursor = self._taken
            self._spool.note_settled()

    def skip_to(self, total: int) -> None:
        """What lies before `total` is gone; what is under way of it may still arrive."""
        if self.cursor < total:
            under_way = max(self._taken, self.cursor)
            self._at_risk += min(total, under_way) - self.cursor
            self._spool.counts.lost[self.key] += max(0, total - under_way)
            self.cursor = total


class ScrapeHead(NamedTuple):
    """What a record says of its scrape."""

    form: Form
    samples: int
    timestamp_ms: int
    total: int
    """Samples ever appended, this scrape's included."""
    source: int


def read_scrape_head(payload: bytes) -> ScrapeHead:
    """The head of a SCRAPE record."""
    code, source, samples, timestamp_ms, total = _SCRAPE_HEAD.unpack_from(payload)
    return ScrapeHead(FORMS[code], samples, timestamp_ms, total, int.from_bytes(source, "little"))


def _read_entry(payload: bytes) -> _Entry:
    head = read_scrape_head(payload)
    scrape = EncodedScrape(payload[_SCRAPE_HEAD.size :], head.samples, head.timestamp_ms, head.source)
    return _Entry(head.total, head.samples, {head.form: scrape}, len(payload))


def read_cursors(payload: bytes) -> dict[str, int]:
    """Reader -> cursor of a CURSORS record."""
    lines = payload.decode().split("\n")[1:]
    return {key: int(cursor) for cursor, _, key in (line.partition(" ") for line in lines)}
