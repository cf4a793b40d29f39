"""A syntax tree back to text, as Prometheus' /format_query lays it out (promql/parser: printer.go, prettier.go)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kpwatch.model.labels import METRIC_NAME

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from kpwatch.promql.syntax import Syntax

LINE_CHARACTERS = 100
_INDENT = "  "


def pretty(node: Syntax, level: int = 0) -> str:
    """The query on one line up to 100 characters, else one part a line; `level` is how far it is indented."""
    flat = one_line(node)
    if len(flat.encode("utf-8", "surrogatepass")) <= LINE_CHARACTERS:
        return _INDENT * level + flat
    split = _SPLIT.get(node["type"])
    return _INDENT * level + flat if split is None else split(node, level)


def _split_aggregation(node: Syntax, level: int) -> str:
    parts = [node["expr"]] if node["param"] is None else [node["param"], node["expr"]]
    return f"{_INDENT * level}{_aggregation_head(node)}({_column(parts, level)})"


def _split_call(node: Syntax, level: int) -> str:
    return f"{_INDENT * level}{node['func']['name']}({_column(node['args'], level)})"


def _split_parentheses(node: Syntax, level: int) -> str:
    return f"{_INDENT * level}({_column([node['expr']], level)})"


def _split_binary(node: Syntax, level: int) -> str:
    """Each left side is one level deeper than what it is the left side of, as far as they do not fit on a line."""
    parts: list[str] = []
    left = node
    while left["type"] == "binaryExpr" and len(one_line(left)) > LINE_CHARACTERS:
        parts += pretty(left["rhs"], level + 1), f"{_INDENT * level}{left['op']}{_modifiers(left)}"
        left, level = left["lhs"], level + 1
    return "\n".join((pretty(left, level), *reversed(parts)))


def _split_subquery(node: Syntax, level: int) -> str:
    return pretty(node["expr"], level) + _brackets(node)


def _split_sign(node: Syntax, level: int) -> str:
    return f"{_INDENT * level}{node['op']}" + pretty(node["expr"], level).strip()


_SPLIT: dict[str, Callable[[Syntax, int], str]] = {
    "aggregation": _split_aggregation,
    "call": _split_call,
    "parenExpr": _split_parentheses,
    "binaryExpr": _split_binary,
    "subquery": _split_subquery,
    "unaryExpr": _split_sign,
}


def _column(parts: list[Syntax], level: int) -> str:
    return "\n" + ",\n".join(pretty(part, level + 1) for part in parts) + "\n" + _INDENT * level


def one_line(node: Syntax) -> str:
    """The query on one line."""
    return _ONE_LINE[node["type"]](node)


def _binary(node: Syntax) -> str:
    parts: list[str] = []
    left = node
    while left["type"] == "binaryExpr":
        parts.append(f" {left['op']}{_modifiers(left)} {one_line(left['rhs'])}")
        left = left["lhs"]
    return one_line(left) + "".join(reversed(parts))


def _aggregation(node: Syntax) -> str:
    parameter = "" if node["param"] is None else one_line(node["param"]) + ", "
    return f"{_aggregation_head(node)}({parameter}{one_line(node['expr'])})"


_ONE_LINE: dict[str, Callable[[Syntax], str]] = {
    "numberLiteral": lambda node: str(node["val"]),
    "stringLiteral": lambda node: quote(node["val"]),
    "parenExpr": lambda node: f"({one_line(node['expr'])})",
    "unaryExpr": lambda node: f"{node['op']}{one_line(node['expr'])}",
    "call": lambda node: f"{node['func']['name']}({', '.join(map(one_line, node['args']))})",
    "aggregation": _aggregation,
    "binaryExpr": _binary,
    "subquery": lambda node: one_line(node["expr"]) + _brackets(node),
    "matrixSelector": lambda node: (
        f"{_selector(node)}[{_duration(node, 'range')}]{_extension(node)}{_at(node)}{_offset(node)}"
    ),
    "vectorSelector": lambda node: _selector(node) + _at(node) + _extension(node) + _offset(node),
}


def _aggregation_head(node: Syntax) -> str:
    if node["without"]:
        return f"{node['op']} without ({_names(node['grouping'])}) "
    return f"{node['op']} by ({_names(node['grouping'])}) " if node["grouping"] else str(node["op"])


def _modifiers(node: Syntax) -> str:
    text = " bool" if node["bool"] else ""
    matching = node["matching"]
    if matching is None:
        return text
    group = {"many-to-one": " group_left", "one-to-many": " group_right"}.get(matching["card"], "")
    if matching["labels"] or matching["on"] or group:
        text += f" {'on' if matching['on'] else 'ignoring'} ({_names(matching['labels'])})"
    return text + (f"{group} ({_names(matching['include'])})" if group else "")


def _selector(node: Syntax) -> str:
    matchers = sorted(
        f"{_name(one['name'])}{one['type']}{quote(one['value'])}"
        for one in node["matchers"]
        if not (one["name"] == METRIC_NAME and one["type"] == "=" and one["value"] == node["name"] != "")
    )
    return str(node["name"]) + (f"{{{','.join(matchers)}}}" if matchers else "")


def _brackets(node: Syntax) -> str:
    step = _duration(node, "step") if node["step"] or node["stepExpr"] else ""
    return f"[{_duration(node, 'range')}:{step}]{_at(node)}{_offset(node)}"


def _at(node: Syntax) -> str:
    if node["timestamp"] is not None:
        return f" @ {node['timestamp'] / 1000:.3f}"
    return f" @ {node['startOrEnd']}()" if node["startOrEnd"] else ""


def _extension(node: Syntax) -> str:
    return " anchored" if node["anchored"] else " smoothed" if node["smoothed"] else ""


def _offset(node: Syntax) -> str:
    return f" offset {_duration(node, 'offset')}" if node["offset"] or node["offsetExpr"] else ""


def _duration(node: Syntax, name: str) -> str:
    return _signed(node[name]) if node[f"{name}Expr"] is None else _computed(node[f"{name}Expr"])


def _signed(milliseconds: int) -> str:
    return f"{'-' if milliseconds < 0 else ''}{duration(abs(milliseconds))}"


def _computed(node: Syntax) -> str:
    """Arithmetic between brackets."""
    if node["type"] == "numberLiteral":
        return _signed(round(float(node["val"]) * 1000)) if node["duration"] else str(node["val"])
    operator, sides = node["op"], [_computed(side) for side in (node["lhs"], node["rhs"]) if side is not None]
    if operator in ("step", "range", "min_of", "max_of"):
        text = f"{operator}({', '.join(sides)})"
    elif len(sides) == 1:
        text = ("-" if operator == "-" else "") + sides[0]
    else:
        text = f" {operator} ".join(sides)
    return f"({text})" if node["wrapped"] else text


def _names(names: Iterable[str]) -> str:
    return ", ".join(map(_name, names))


def _name(name: str) -> str:
    plain = name.isascii() and name.replace("_", "a").isalnum() and not name[0].isdigit()
    return name if plain else quote(name)


_UNITS_MS = (("y", 31_536_000_000), ("w", 604_800_000), ("d", 86_400_000), ("h", 3_600_000), ("m", 60_000))
_WHOLE_ONLY = {"y", "w"}


def duration(milliseconds: int) -> str:
    """A duration as Prometheus prints it: `1h30m`; years and weeks only where nothing is left over."""
    if not milliseconds:
        return "0s"
    text, left = "", milliseconds
    for unit, unit_ms in (*_UNITS_MS, ("s", 1000), ("ms", 1)):
        if left >= unit_ms and not (unit in _WHOLE_ONLY and left % unit_ms):
            text += f"{left // unit_ms}{unit}"
            left %= unit_ms
    return text


_ESCAPES = {"\a": r"\a", "\b": r"\b", "\f": r"\f", "\n": r"\n", "\r": r"\r", "\t": r"\t", "\v": r"\v"}
_ESCAPES |= {"\\": r"\\", '"': r"\""}


def quote(text: str) -> str:
    """A Go string literal in double quotes (strconv.Quote); lone surrogates are bytes that are no UTF-8."""
    return '"' + "".join(map(_quoted, text)) + '"'


def _quoted(character: str) -> str:
    code = ord(character)
    if character in _ESCAPES:
        return _ESCAPES[character]
    if character.isprintable():
        return character
    if 0xDC80 <= code <= 0xDCFF:
        return f"\\x{code - 0xDC00:02x}"
    if code < 0x80:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
