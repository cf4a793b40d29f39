"""Every key of a TOML document is found on the line where it stands."""

from __future__ import annotations

import json
import tomllib
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from kpwatch.config.positions import KeyPath, line_of_keys

EXAMPLE = '''\
# a comment with [brackets] and "quotes
top = 1
[global]
hostname = "a # no comment" # a comment
"quoted key" = 'x'
dotted.key = 2
[global.labels]
region = """
[not.a.table]
a = "1"
"""
after = true
[[writers]]
url = "u"
headers = [
  "a", # one
  "b]",
]
[writers.extra]
x = 1
[[writers]]
url = "v"
labels = { a = "1", b = { c = 2 } }
list = [ { p = 1 }, { p = 2,
  q = 3 } ]
'''
EXPECTED: dict[KeyPath, int] = {
    ("top",): 2,
    ("global",): 3,
    ("global", "hostname"): 4,
    ("global", "quoted key"): 5,
    ("global", "dotted", "key"): 6,
    ("global", "labels"): 7,
    ("global", "labels", "region"): 8,
    ("global", "labels", "after"): 12,
    ("writers",): 13,
    ("writers", 0): 13,
    ("writers", 0, "url"): 14,
    ("writers", 0, "headers", 0): 16,
    ("writers", 0, "headers", 1): 17,
    ("writers", 0, "extra", "x"): 20,
    ("writers", 1): 21,
    ("writers", 1, "url"): 22,
    ("writers", 1, "labels", "b", "c"): 23,
    ("writers", 1, "list", 1, "p"): 24,
    ("writers", 1, "list", 1, "q"): 25,
}


def test_an_example() -> None:
    """Tables, arrays, strings with brackets, comments with quotes."""
    lines = line_of_keys(EXAMPLE)
    assert {path: lines.get(path) for path in EXPECTED} == EXPECTED
    assert not any("not" in path for path in lines)


KEYS = st.text(alphabet="abc_-1 .\"'#[]=", min_size=1, max_size=4)
TEXTS = st.text(alphabet="abc \"'#[]{}=,\\\n", max_size=8)
SCALARS = st.one_of(st.integers(-9, 9), st.booleans(), TEXTS)
VALUES = st.recursive(SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3))
TABLES = st.dictionaries(KEYS, VALUES, max_size=4)
DOCUMENTS = st.tuples(TABLES, st.dictionaries(KEYS, TABLES | st.lists(TABLES, min_size=1, max_size=3), max_size=3))


def written(value: object) -> str:
    """A value in one line of TOML; JSON's strings and numbers are TOML's."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{json.dumps(key)} = {written(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(written, value)) + "]"
    return json.dumps(value)


def write(document: tuple[dict[str, object], dict[str, object]]) -> tuple[str, dict[KeyPath, int]]:
    """A document's text and the lines of its keys as we know them from writing."""
    lines: list[str] = []
    known: dict[KeyPath, int] = {}

    def table(content: dict[str, object], path: KeyPath) -> None:
        for key, value in content.items():
            lines.append(f"{json.dumps(key)}\t= {written(value)}  # {key}")
            known[*path, key] = len(lines)

    top, tables = document
    table(top, ())
    for name, content in tables.items():
        if name in top:
            continue
        many = isinstance(content, list)
        for index, item in enumerate(content if isinstance(content, list) else [content]):
            lines.append(f"[[{json.dumps(name)}]]" if many else f"[{json.dumps(name)}]")
            path: KeyPath = (name, index) if many else (name,)
            known[path] = len(lines)
            table(item, path)
    return "\n".join(lines), known


@given(DOCUMENTS)
def test_every_key_of_any_document(document: tuple[dict[str, object], dict[str, object]]) -> None:
    """What tomllib accepts is found where it was written."""
    text, known = write(document)
    tomllib.loads(text)
    lines = line_of_keys(text)
    assert {path: lines.get(path) for path in known} == known


@given(st.text(alphabet="a=[]{}\"'#.,\n\\ ", max_size=30))
def test_it_ends_on_any_text(text: str) -> None:
    """Also on what is not TOML; lines never lie outside."""
    lines = line_of_keys(text)
    assert all(1 <= line <= text.count("\n") + 1 for line in lines.values())


@given(st.lists(st.sampled_from(["[[a]]", "[a.b]", "[[a.c]]", "x = 1"]), max_size=8))
def test_lines_grow_with_the_index(statements: list[str]) -> None:
    """A later element of an array of tables stands further down."""
    lines = line_of_keys("\n".join(statements))
    elements = [lines[path] for path in sorted(
        (path for path in lines if path[0] == "a" and len(path) == 2), key=str)
                if isinstance(path[1], int)]  # fmt: skip
    assert all(before < after for before, after in pairwise(elements))
