"""`NamedTuple` for the rooms that an agent loads: to a type checker it is typing's, at run time it is made with less.

typing's keeps a compiled object for each annotation, and each of its classes has functions of its own for what all of
them do: half a megabyte and some milliseconds of every agent's start. Here annotations stay the texts that they are in
our modules, the methods are inherited, and classes of as many fields share the code of their `__new__`. An instance is
what typing's would be: a tuple without a dict, made by a function that has its fields as parameters.
"""

from __future__ import annotations

from collections import _tuplegetter  # type: ignore[attr-defined]
from functools import cache
from types import FunctionType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable
    from types import CodeType
    from typing import NamedTuple as NamedTuple  # noqa: PLC0414 - handed on
    from typing import Self


class _Fields(tuple[Any, ...]):
    """What every named tuple can do; as `collections.namedtuple` has it."""

    __slots__ = ()
    _fields: tuple[str, ...] = ()

    @classmethod
    def _make(cls, values: Iterable[Any]) -> Self:
        made = tuple.__new__(cls, values)
        if len(made) != len(cls._fields):
            raise TypeError(f"{cls.__name__} has {len(cls._fields)} fields, got {len(made)} values")
        return made

    def _replace(self, /, **changed: Any) -> Self:
        made = self._make(map(changed.pop, self._fields, self))
        if changed:
            raise ValueError(f"{type(self).__name__} has no field {', '.join(changed)}")
        return made

    def _asdict(self) -> dict[str, Any]:
        return dict(zip(self._fields, self, strict=True))

    def __getnewargs__(self) -> tuple[Any, ...]:
        return tuple(self)

    def __repr__(self) -> str:
        shown = ", ".join(f"{name}={value!r}" for name, value in self._asdict().items())
        return f"{type(self).__name__}({shown})"


class _Maker(type):
    """Makes a subclass of `_Fields` of a class body whose annotations are its fields."""

    def __new__(cls, name: str, _bases: tuple[type, ...], body: dict[str, Any]) -> type:
        fields = tuple(body.get("__annotations__", ()))
        defaults = {field: body.pop(field) for field in fields if field in body}
        if tuple(defaults) != fields[len(fields) - len(defaults) :]:
            raise TypeError(f"{name}: a field without a default follows one with a default")
        code = _code_of_new(len(fields)).replace(
            co_varnames=("_cls", *fields), co_name="__new__", co_qualname=f"{body['__qualname__']}.__new__"
        )
        made = {
            "__slots__": (),
            "__match_args__": fields,
            "_fields": fields,
            "_field_defaults": defaults,
            "__new__": FunctionType(code, {"_new": tuple.__new__}, "__new__", tuple(defaults.values())),
        }
        getters = {field: _tuplegetter(place, None) for place, field in enumerate(fields)}
        return type(name, (_Fields,), {**made, **getters, **body})


@cache
def _code_of_new(count: int) -> CodeType:
    """Of a `__new__` with `count` fields, whatever they are called."""
    fields = "".join(f"f{place}, " for place in range(count))
    new: FunctionType = eval(f"lambda _cls, {fields}: _new(_cls, ({fields}))")  # noqa: S307 - these are our own texts
    return new.__code__


if not TYPE_CHECKING:
    NamedTuple = type.__new__(_Maker, "NamedTuple", (), {})
