"""Holds a document against the key table: kinds checked, unknown keys named, keys without effect admitted.

The result is a tree of `Section`s whose accessors give checked values, the default where a key is absent or wrong
(the error is in the report by then, so nobody starts with it).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from kpwatch.base.urls import redacted
from kpwatch.config.kinds import KINDS, WrongValue

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from kpwatch.config.files import Document
    from kpwatch.config.keys import Key, Table
    from kpwatch.config.kinds import Pairs
    from kpwatch.config.positions import KeyPath
    from kpwatch.config.problems import Place, Report

_CONTAINERS = ("table", "tables")


class Section:
    """One checked table of a document."""

    def __init__(self, document: Document, path: KeyPath, report: Report) -> None:
        self._document = document
        self.path = path
        self._report = report
        self.values: dict[str, object] = {}
        self.given: dict[str, str] = {}
        """Key -> the name it was given by (letters' case may differ)."""
        self.sections: dict[str, list[Section]] = {}
        self.lists: frozenset[str] = frozenset()
        """Names of the keys that are arrays of tables."""

    def text(self, name: str) -> str:
        """A string."""
        return cast("str", self.values[name])

    def flag(self, name: str) -> bool:
        """A boolean."""
        return cast("bool", self.values[name])

    def whole(self, name: str) -> int:
        """A whole number."""
        return cast("int", self.values[name])

    def seconds(self, name: str) -> float:
        """A duration in seconds, whatever it was written in."""
        return cast("float", self.values[name])

    def texts(self, name: str) -> tuple[str, ...]:
        """A list of strings."""
        return cast("tuple[str, ...]", self.values[name])

    def pairs(self, name: str) -> Pairs:
        """Labels or headers."""
        return cast("Pairs", self.values[name])

    def numbers(self, name: str) -> tuple[tuple[str, float], ...]:
        """Texts and the number beside each."""
        return cast("tuple[tuple[str, float], ...]", self.values[name])

    def many(self, name: str) -> list[Section]:
        """The sections of `[[name]]`, in order; none where it is absent."""
        return self.sections.get(name, [])

    def only(self, name: str) -> Section:
        """The section of `[name]`; one with all defaults where it is absent."""
        return self.sections[name][0]

    def place(self, *names: str | int) -> Place:
        """Where a key, or this table, stands."""
        return self._document.place((*self.path, *(self.given.get(str(name), name) for name in names)))

    def label(self, name: str = "") -> str:
        """A key as a person would write it."""
        if not self.path and (name in self.sections or name in self.lists):
            return f"[[{name}]]" if name in self.lists else f"[{name}]"
        return key_label(self.path, name)

    def error(self, name: str, what: str, *inside: str | int) -> None:
        """Note that the value of a key is wrong."""
        self._report.error(self.place(name, *inside), self.label(name), what)

    def warn(self, name: str, what: str, *inside: str | int) -> None:
        """Note that the value of a key is strange."""
        self._report.warn(self.place(name, *inside), self.label(name), what)


def key_label(path: KeyPath, name: str = "") -> str:
    """`[global] interval`, `[[instances]] urls`, `interval`."""
    table = ".".join(part for part in path if isinstance(part, str))
    if not table:
        return name
    brackets = f"[[{table}]]" if isinstance(path[-1], int) else f"[{table}]"
    return f"{brackets} {name}".rstrip()


def check(document: Document, top: Table, tables: Iterable[Table], report: Report) -> Section:
    """The document as a tree of sections; all problems are in `report`."""
    return _Checker(document, {table.path: table for table in tables}, report).section(top, document.tables, ())


class _Checker:
    def __init__(self, document: Document, tables: Mapping[str, Table], report: Report) -> None:
        self._document = document
        self._tables = tables
        self._report = report

    def section(self, table: Table, data: Mapping[str, object], path: KeyPath, *, quiet: bool = False) -> Section:
        """One table. `quiet`: whether its keys have an effect has been said for the table as a whole."""
        section = Section(self._document, path, self._report)
        self._fill_defaults(section, table)
        for name in data:
            key = table.find(name)
            if key is not None:
                section.given[key.name] = name
        idle_keys = quiet or _switched_off(table, section, data)
        for name, value in data.items():
            key = table.find(name)
            if key is None:
                self._unknown(table, section, name, value)
            elif key.kind in _CONTAINERS:
                self._nested(table, section, key, value, quiet=idle_keys)
            else:
                self._value(section, key, value)
                if not idle_keys or key.name == table.switch:
                    self._status(section, key, quiet=quiet)
        return section

    def _fill_defaults(self, section: Section, table: Table) -> None:
        section.lists = frozenset(key.name for key in table.keys if key.kind == "tables")
        for key in table.keys:
            section.values[key.name] = key.default
            if key.kind == "table":
                section.sections[key.name] = [self.section(self._inner(table, key), {}, (*section.path, key.name))]

    def _inner(self, table: Table, key: Key) -> Table:
        return self._tables[f"{table.path}.{key.name}".lstrip(".")]

    def _value(self, section: Section, key: Key, value: object) -> None:
        kind = KINDS[key.kind]
        try:
            section.values[key.name] = kind.check(value)
        except WrongValue as error:
            section.error(key.name, f"{_shown(key, value)}: {error}")
            return
        if advice := kind.advice(value):
            section.warn(key.name, f"{_shown(key, value)}: {advice}")

    def _nested(self, table: Table, section: Section, key: Key, value: object, *, quiet: bool) -> None:
        inner = self._inner(table, key)
        name = section.given[key.name]
        items = value if isinstance(value, list) else [value]
        if isinstance(value, list) != (key.kind == "tables") or not all(isinstance(item, dict) for item in items):
            header = f"[[{inner.path}]]" if key.kind == "tables" else f"[{inner.path}]"
            section.error(key.name, f"expected a table written as {header}")
            return
        if items and not quiet:
            self._status(section, key, quiet=False, given=True)
        inner_quiet = quiet or key.status in ("later", "refused")
        path: KeyPath = (*section.path, name)
        section.sections[key.name] = [
            self.section(inner, item, path if key.kind == "table" else (*path, index), quiet=inner_quiet)
            for index, item in enumerate(items)
        ]

    def _status(self, section: Section, key: Key, *, quiet: bool, given: bool = False) -> None:
        value = section.values[key.name]
        idle = not value or value == key.default or value in key.quiet
        if quiet or (idle and not given):
            return
        if key.status == "later":
            section.warn(key.name, f"has no effect in this version ({key.does})")
        elif key.status == "refused":
            section.warn(key.name, f"has no effect here: {key.does}")

    def _unknown(self, table: Table, section: Section, name: str, value: object) -> None:
        if table.open:
            return
        near = nearest(name, [key.name for key in table.keys])
        hint = f", did you mean {near!r}?" if near else ""
        place = section.place(name)
        header = section.place()
        if header.line and header.file != place.file:
            hint += f" (it stands above any table of its file, so it belongs to the last table of {header.file})"
        label = f"[{name}]" if not section.path and isinstance(value, dict | list) else section.label(name)
        self._report.warn(place, label, f"unknown key, without effect{hint}")


def _switched_off(table: Table, section: Section, data: Mapping[str, object]) -> bool:
    """Whether the keys beside the switch need no word of their own."""
    switch = table.find(table.switch) if table.switch else None
    if switch is None:
        return False
    on = data.get(section.given.get(switch.name, switch.name), switch.default)
    return on is not True or switch.status in ("later", "refused")


def _shown(key: Key, value: object) -> str:
    """A value for a message: never a secret, never long."""
    if key.secret:
        return "***"
    text = str(value).lower() if isinstance(value, bool) else redacted(repr(value))
    return text if len(text) <= 80 else text[:77] + "…"


def nearest(name: str, known: Sequence[str]) -> str:
    """The known name most like `name`, whatever their case, or ""."""
    import difflib  # noqa: PLC0415 - half a megabyte that an agent without typos never needs

    by_lower_case = {other.lower(): other for other in known}
    found = difflib.get_close_matches(name.lower(), by_lower_case, n=1, cutoff=0.6)
    return by_lower_case[found[0]] if found else ""
