"""The agent's named tuples are typing's to whoever uses them."""

from __future__ import annotations

import pickle
import typing
from typing import Any

import pytest

from kpwatch.base.named import NamedTuple


class Ours(NamedTuple):
    """Two fields and what else a class may have."""

    name: str
    size: int = 3
    """With a default."""

    def twice(self) -> int:
        """A method."""
        return 2 * self.size


class Theirs(typing.NamedTuple):
    """The same by typing."""

    name: str
    size: int = 3

    def twice(self) -> int:
        """A method."""
        return 2 * self.size


class One(NamedTuple):
    """A single field."""

    only: float


@pytest.mark.parametrize(
    "use",
    [
        lambda made: tuple(made("a")),
        lambda made: tuple(made(size=1, name="b")),
        lambda made: made("a").size,
        lambda made: made("a").twice(),
        lambda made: made("a")._asdict(),
        lambda made: made._fields,
        lambda made: made._field_defaults,
        lambda made: made.__match_args__,
        lambda made: repr(made("a", 2)).partition("(")[2],
        lambda made: tuple(made("a")._replace(size=9)),
        lambda made: tuple(made._make(["c", 4])),
        lambda made: tuple(pickle.loads(pickle.dumps(made("a")))),
        lambda made: hash(made("a")) == hash(("a", 3)),
        lambda made: hasattr(made("a"), "__dict__"),
    ],
)
def test_it_is_what_typing_makes(use: Any) -> None:
    """Making, reading, changing, showing, pickling."""
    assert use(Ours) == use(Theirs)


@pytest.mark.parametrize(
    ("use", "error"),
    [
        (lambda made: made(), TypeError),
        (lambda made: made("a", 1, 2), TypeError),
        (lambda made: made("a", colour=1), TypeError),
        (lambda made: made._make(["a"]), TypeError),
        (lambda made: made("a")._replace(colour=1), ValueError),
        (lambda made: setattr(made("a"), "name", "b"), AttributeError),
        (lambda made: setattr(made("a"), "colour", 1), AttributeError),
    ],
)
def test_it_refuses_what_typing_refuses(use: Any, error: type[Exception]) -> None:
    """The same exception for the same mistake."""
    for made in (Ours, Theirs):
        with pytest.raises(error):
            use(made)


def test_a_field_without_a_default_comes_first() -> None:
    """Otherwise nobody could leave the default out."""
    with pytest.raises(TypeError, match="without a default"):

        class Wrong(NamedTuple):
            first: int = 1
            second: int  # type: ignore[misc]


def test_a_mistake_names_the_class_and_the_field() -> None:
    """Though classes of as many fields share one code."""
    assert One(1.5) == (1.5,)
    with pytest.raises(TypeError, match=r"Ours\.__new__\(\) missing 1 required positional argument: 'name'"):
        Ours()  # type: ignore[call-arg]
