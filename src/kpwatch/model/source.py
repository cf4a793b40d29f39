"""The two Protocols between those who keep samples and those who use them.

`receive` and `rules` see a store as an Appender; `promql`, `api` and `doctor` see a store, two scrapes in memory or an
external engine as a SeriesSource. Nobody sees more.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol, overload

from kpwatch.base.named import NamedTuple
from kpwatch.model.labels import join_target

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from concurrent.futures import Future

    import numpy as np
    from numpy.typing import NDArray

    from kpwatch.model.frames import Frame
    from kpwatch.model.labels import Labels
    from kpwatch.model.matchers import Matcher
    from kpwatch.model.stack import Stack


class Appended(NamedTuple):
    """What became of the samples of one append."""

    samples: int
    """Samples now on disk."""
    overwritten: int
    """Of these, how many replaced a sample of the same series and time."""


class Deleted(NamedTuple):
    """What a deletion took away."""

    series: int
    samples: int
    """As they stood in the store: one that a later one had replaced may be counted too."""


class Appender(Protocol):
    """Takes frames; a finished Future means committed and synced to disk."""

    def append(self, frames: Sequence[Frame]) -> Future[Appended]:
        """Queue `frames` for the next commit.

        All or nothing: they are committed together or the Future raises StoreFull or StoreClosed; but where it raises
        OverLimit, what is within the limits is committed. Raises
        StoreOverloaded at once when more bytes wait than the store's option allows.
        """
        ...

    def append_then(self, frames: Sequence[Frame], then: Callable[[Appended | Exception], None]) -> None:
        """As `append`, for who has no use for a Future: `then` is told once what it would give or raise.

        It is called in the store's thread, which waits for it meanwhile; it must not raise.
        """
        ...


class Slice(NamedTuple):
    """A dense matrix of samples: every series has a sample at every timestamp.

    `timestamps_ms`: int64, shape (rows,), strictly increasing. `values`: float64, shape (rows, len(series)), NaN bits
    (staleness markers) kept. `series`: complete label sets, target labels included.
    """

    series: Sequence[Labels]
    timestamps_ms: NDArray[np.int64]
    values: NDArray[np.float64]


class OfTarget(Sequence["Labels"]):
    """Series of one target, their complete label sets joined when somebody looks at them.

    `columns` is the same object for targets whose series are alike, so that whoever looks at many targets may look once
    at what they have in common.
    """

    __slots__ = ("_joined", "columns", "target")

    def __init__(self, target: Labels, columns: tuple[Labels, ...]) -> None:
        """`target` and `columns` as `labels.split_target` gives them."""
        self.target = target
        self.columns = columns
        self._joined: list[Labels] | None = None

    def __len__(self) -> int:
        return len(self.columns)

    def __iter__(self) -> Iterator[Labels]:
        return iter(self._all())

    @overload
    def __getitem__(self, place: int) -> Labels: ...
    @overload
    def __getitem__(self, place: slice) -> Sequence[Labels]: ...
    def __getitem__(self, place: int | slice) -> Labels | Sequence[Labels]:
        return self._all()[place]

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sequence) and self._all() == list(other)

    __hash__ = None  # type: ignore[assignment]  # as a list has none

    def _all(self) -> list[Labels]:
        if self._joined is None:
            self._joined = [join_target(self.target, column) for column in self.columns]
        return self._joined


class SeriesSource(Protocol):
    """Gives samples and names. All times are inclusive; all matchers must match; no matchers means everything."""

    def select(self, matchers: Sequence[Matcher], start_ms: int, end_ms: int) -> Iterable[Slice]:
        """Slices of all matching series with a sample in [start_ms, end_ms]; each series is in exactly one slice.

        A target whose series have samples at different times comes as several slices.
        """
        ...

    def series(self, matchers: Sequence[Matcher], start_ms: int, end_ms: int) -> list[Labels]:
        """Sorted label sets of matching series that may have a sample in the range (a superset is allowed)."""
        ...

    def label_names(self, matchers: Sequence[Matcher], start_ms: int, end_ms: int) -> list[str]:
        """Sorted label names of these series."""
        ...

    def label_values(self, name: str, matchers: Sequence[Matcher], start_ms: int, end_ms: int) -> list[str]:
        """Sorted values of label `name` in these series."""
        ...


class StackSource(SeriesSource, Protocol):
    """A source that keeps what it gave, for who asks the same again."""

    def stacks(self, matchers: tuple[Matcher, ...], start_ms: int, end_ms: int, steps: int) -> Iterator[list[Stack]]:
        """What `select` gives, stacked (`model/stack.py`), in batches that are worth evaluating together.

        There may be samples outside [start_ms, end_ms], and series that have no others. `matchers` are recognised by
        being the same object.
        """
        ...


class ChangingSource(Protocol):
    """A source that says whether an answer that was made of it may be given again."""

    def changes(self) -> int:
        """How much has happened; to be read before an answer is begun."""
        ...

    def is_as_it_was(self, changes: int, start_ms: int, end_ms: int) -> bool:
        """Whether [start_ms, end_ms] is sure to hold what it held when so much had happened."""
        ...
