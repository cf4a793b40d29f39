"""The edge: which files of a directory count, and their texts joined as Categraf joins them.

    DIR/config.toml, DIR/*.toml           joined in name order into one TOML document (config.toml must exist)
    DIR/input.prometheus/*.toml           joined in name order into another

Joining is by text, so `[[writers]]` of several files add up, a second `[global]` is an error, and a key at the top of
a file belongs to the last table of the file before (a `Document` remembers which line came from where). A ConfigMap's
mount needs no special case: its files are symlinks, its `..data` does not end in .toml. Names are ordered by bytes.
"""

from __future__ import annotations

import bisect
import os
import tomllib
from typing import TYPE_CHECKING

from kpwatch.config.positions import KeyPath, line_of_keys
from kpwatch.config.problems import BadConfig, Place, Problem

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from kpwatch.config.problems import Report

MAX_FILE_BYTES = 4 << 20
"""A configuration file larger than this is a mistake."""

MAIN_FILE = "config.toml"

_FOREIGN_ENDINGS = (".yaml", ".yml", ".json")


class Document:
    """Some files joined into one TOML document: its tables, and where each line and key came from."""

    def __init__(self, name: str, files: Sequence[tuple[str, str]]) -> None:
        """`name` stands for the whole where no line is meant; `files` are (path, text) in order."""
        self.name = name
        self.tables: dict[str, object] = {}
        self.is_toml = True
        self.text = ""
        self._first_lines: list[int] = []
        self._paths: list[str] = []
        for path, text in files:
            self._first_lines.append(self.text.count("\n") + 1)
            self._paths.append(path)
            self.text += text if text.endswith("\n") or not text else text + "\n"
        self._lines: dict[KeyPath, int] = {}

    def read(self, report: Report) -> None:
        """Parse the text into `tables`; what is not TOML is one error at its place."""
        try:
            self.tables = tomllib.loads(self.text)
        except tomllib.TOMLDecodeError as error:
            self.is_toml = False
            what, line = _line_in_message(str(error), self.text)
            report.error(self.place_of_line(line), "", f"not TOML: {what}")
            return
        self._lines = line_of_keys(self.text)

    def place(self, path: KeyPath) -> Place:
        """Where a key or table stands; of something that stands nowhere, its nearest container."""
        for length in range(len(path), 0, -1):
            line = self._lines.get(path[:length])
            if line is not None:
                return self.place_of_line(line)
        return Place(self.name)

    def place_of_line(self, line: int) -> Place:
        """The file and line of a line of the joined text."""
        if not self._paths:
            return Place(self.name)
        index = max(bisect.bisect_right(self._first_lines, line) - 1, 0)
        return Place(self._paths[index], line - self._first_lines[index] + 1)


def _line_in_message(message: str, text: str) -> tuple[str, int]:
    """What tomllib says, and the line it means: `... (at line 3, column 8)` or `... (at end of document)`."""
    what, _, place = message.rpartition(" (at ")
    if not what:
        return message, 0
    if not place.startswith("line "):
        return f"{what} at the end of the file", text.rstrip("\n").count("\n") + 1
    line, _, column = place.removeprefix("line ").rstrip(")").partition(", column ")
    return f"{what} at column {column}", int(line)


def read_root(directory: Path, report: Report) -> Document:
    """The root document; raises BadConfig where there is no config.toml, everything else goes to `report`."""
    main = directory / MAIN_FILE
    if not main.exists():
        raise BadConfig((Problem(Place(str(main)), "", f"configuration file({main}) not found"),))
    document = Document(str(main), _read_all(directory, report))
    for name in _names(directory):
        if name.endswith(_FOREIGN_ENDINGS) and (directory / name).is_file():
            report.warn(Place(str(directory / name)), "", "not read: only .toml files count; move its keys to one")
    document.read(report)
    return document


def input_names(directory: Path) -> list[str]:
    """NAME of every folder `input.NAME`, in order; a symlink to a folder counts (for Categraf it does not)."""
    return [
        name.removeprefix("input.")
        for name in _names(directory)
        if name.startswith("input.") and (directory / name).is_dir()
    ]


def read_input(directory: Path, name: str, report: Report) -> Document:
    """The document of the input `name`; empty if its folder is."""
    folder = directory / f"input.{name}"
    document = Document(str(folder), _read_all(folder, report))
    document.read(report)
    for other in _names(folder):
        if other.endswith(_FOREIGN_ENDINGS) and not (other.endswith(".json") and _lists_targets(document)):
            report.error(Place(str(folder / other)), "", "only TOML is read here; write its [[instances]] into a .toml")
    return document


def _lists_targets(document: Document) -> bool:
    """Whether JSON beside it may be a list of targets: an instance has `file_sd`."""
    instances = document.tables.get("instances")
    return isinstance(instances, list) and any(isinstance(one, dict) and "file_sd" in one for one in instances)


def _names(directory: Path) -> list[str]:
    try:
        return sorted(os.listdir(directory), key=os.fsencode)
    except OSError as error:
        raise BadConfig((Problem(Place(str(directory)), "", f"cannot be read: {error.strerror}"),)) from error


def _read_all(directory: Path, report: Report) -> list[tuple[str, str]]:
    paths = [directory / name for name in _names(directory) if name.endswith(".toml")]
    return [(str(path), text) for path in paths if not path.is_dir() and (text := _read(path, report)) is not None]


def _read(path: Path, report: Report) -> str | None:
    """A file's text with Unix line ends, or None and an error in `report`."""
    if path.exists() and not path.is_file():
        report.error(Place(str(path)), "", "not a regular file")
        return None
    try:
        with path.open("rb") as file:
            data = file.read(MAX_FILE_BYTES + 1)
    except OSError as error:
        report.error(Place(str(path)), "", f"cannot be read: {error.strerror}")
        return None
    if len(data) > MAX_FILE_BYTES:
        report.error(Place(str(path)), "", f"larger than {MAX_FILE_BYTES >> 20} MiB: no configuration is that long")
        return None
    try:
        return data.decode("utf-8-sig").replace("\r\n", "\n")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        report.error(Place(str(path), line), "", f"not UTF-8 (byte {error.start}); save the file as UTF-8")
        return None
