"""The functions that templates of rules have: Go's own and Prometheus' (its template/template.go). Pure.

`functions` gives them for one expansion: `query` asks whoever evaluates, at the time of the evaluation. Values are
those of `go_print`. Regular expressions are RE2's, loaded when the first template needs one.
"""

from __future__ import annotations

import html
import json
import math
import re
from functools import lru_cache
from typing import TYPE_CHECKING, Any
from urllib.parse import quote_plus, urlsplit

from kpwatch.base.durations import parse_prometheus
from kpwatch.base.errors import KpwatchError
from kpwatch.base.resolve import is_address
from kpwatch.relabel.goregex import expand
from kpwatch.rules.go_execute import is_true
from kpwatch.rules.go_parse import TemplateError
from kpwatch.rules.go_print import AnyMap, Map, Moment, Struct, formatted, moment_text, printed, text_of, type_name

if TYPE_CHECKING:
    from collections.abc import Callable

    from kpwatch.model.labels import Labels

    Query = Callable[[str], list[tuple[Labels, float]]]

MAX_QUERY_SAMPLES = 10_000
"""Of one `query` in a template."""
_LARGE = ("k", "M", "G", "T", "P", "E", "Z", "Y")
_BINARY = ("ki", "Mi", "Gi", "Ti", "Pi", "Ei", "Zi", "Yi")
_SMALL = ("m", "u", "n", "p", "f", "a", "z", "y")
_JS = {"\\": "\\\\", "'": "\\'", '"': '\\"', "<": "\\u003C", ">": "\\u003E", "&": "\\u0026", "=": "\\u003D"}


def sample(labels: Labels, value: float) -> Struct:
    """What `query` gives a list of."""
    return Struct(Labels=Map(labels), Value=value)


def functions(query: Query, external_url: str) -> dict[str, Callable[..., Any]]:
    """By name."""

    def run(text: Any) -> list[Struct]:
        try:
            found = query(_text(text))
        except KpwatchError as error:
            raise TemplateError(str(error)) from error
        if len(found) > MAX_QUERY_SAMPLES:
            raise TemplateError(f"the query has {len(found)} samples, more than {MAX_QUERY_SAMPLES}")
        return [sample(labels, value) for labels, value in found]

    return {
        **_FIXED,
        "query": run,
        "externalURL": lambda: external_url,
        "pathPrefix": lambda: urlsplit(external_url).path,
    }


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TemplateError(f"wrong type for value; expected string; got {type_name(value)}")
    return value


def _number(value: Any) -> float:
    if isinstance(value, str):
        try:
            return float(value)
        except ValueError as error:
            raise TemplateError(f"{value!r} is no number") from error
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TemplateError(f"can't convert {type_name(value)} to float")
    return float(value)


def _short(value: float) -> str:
    """As Go's %.4g."""
    return formatted("%.4g", (value,))


def _is_odd(value: float) -> bool:
    return math.isnan(value) or math.isinf(value)


def _scaled(value: float, prefixes: tuple[str, ...], factor: float, *, up: bool) -> tuple[float, str]:
    prefix = ""
    for candidate in prefixes:
        if (abs(value) < factor) if up else (abs(value) >= 1):
            break
        prefix = candidate
        value = value / factor if up else value * factor
    return value, prefix


def humanize(given: Any) -> str:
    """`1.234k`, `12m`."""
    value = _number(given)
    if value == 0 or _is_odd(value):
        return _short(value)
    up = abs(value) >= 1
    scaled, prefix = _scaled(value, _LARGE if up else _SMALL, 1000, up=up)
    return _short(scaled) + prefix


def humanize1024(given: Any) -> str:
    """`1.5Mi`."""
    value = _number(given)
    if abs(value) <= 1 or _is_odd(value):
        return _short(value)
    scaled, prefix = _scaled(value, _BINARY, 1024, up=True)
    return _short(scaled) + prefix


def humanize_duration(given: Any) -> str:
    """`1d 2h 3m 4s`, `1.5s`, `12ms`."""
    value = _number(given)
    if _is_odd(value):
        return _short(value)
    if value == 0:
        return _short(value) + "s"
    if abs(value) < 1:
        scaled, prefix = _scaled(value, _SMALL, 1000, up=False)
        return f"{_short(scaled)}{prefix}s"
    sign, value = ("-", -value) if value < 0 else ("", value)
    whole = int(value)
    seconds, minutes, hours, days = whole % 60, whole // 60 % 60, whole // 3600 % 24, whole // 86_400
    if days:
        return f"{sign}{days}d {hours}h {minutes}m {seconds}s"
    if hours:
        return f"{sign}{hours}h {minutes}m {seconds}s"
    return f"{sign}{minutes}m {seconds}s" if minutes else f"{sign}{_short(value)}s"


def _humanize_timestamp(given: Any) -> str:
    value = _number(given)
    return _short(value) if _is_odd(value) else moment_text(value)


def _to_time(given: Any) -> Moment:
    value = _number(given)
    moment_text(0.0 if _is_odd(value) else value)
    if _is_odd(value):
        raise TemplateError(f"{text_of(value)} cannot be represented as a time")
    return Moment(value)


def _parse_duration(given: Any) -> float:
    try:
        return parse_prometheus(_text(given))
    except ValueError as error:
        raise TemplateError(f"not a valid duration string: {given!r}: {error}") from error


def _list(value: Any) -> list[Any]:
    if not isinstance(value, list):
        raise TemplateError(f"wrong type for value; expected a query's result; got {type_name(value)}")
    return value


def _sample(value: Any) -> Struct:
    if not isinstance(value, Struct) or "Labels" not in value:
        raise TemplateError(f"wrong type for value; expected a sample; got {type_name(value)}")
    return value


def _first(values: Any) -> Any:
    if not _list(values):
        raise TemplateError("first() called on vector with no elements")
    return values[0]


def _sorted_by_label(name: Any, values: Any) -> list[Any]:
    return sorted(_list(values), key=lambda one: str(_sample(one)["Labels"].get(_text(name), "")))


@lru_cache(maxsize=256)
def _pattern(text: str) -> Any:
    import re2  # noqa: PLC0415 - see the module

    options = re2.Options()
    options.log_errors = False
    try:
        return re2.compile(text, options)
    except (re2.error, UnicodeEncodeError) as error:
        raise TemplateError(f"error parsing regexp: {text!r}") from error


def _re_replace_all(pattern: Any, replacement: Any, text: Any) -> str:
    template = _text(replacement)
    done: str = _pattern(_text(pattern)).sub(lambda match: expand(template, match), _text(text))
    return done


def _title(given: Any) -> str:
    """Go's strings.Title: letters behind what is neither letter, digit, `_` nor `'`… become capitals."""
    return re.sub(r"(?<![\w'])\w", lambda match: match[0].title(), _text(given))


def _host_port(text: str) -> tuple[str, str] | None:
    """As net.SplitHostPort; None where there is no port."""
    host, colon, port = text.rpartition(":")
    if not colon or "]" in port:
        return None
    if host.startswith("[") and host.endswith("]"):
        return host[1:-1], port
    return None if ":" in host or "[" in host or "]" in host else (host, port)


def _strip_port(given: Any) -> str:
    split = _host_port(_text(given))
    return split[0] if split else str(given)


def _strip_domain(given: Any) -> str:
    text = _text(given)
    host, port = _host_port(text) or (text, "")
    if is_address(host):
        return text
    short = host.partition(".")[0]
    return f"{short}:{port}" if port else short


def _graph_link(tab: int) -> Callable[[Any], str]:
    return lambda expression: f"/graph?g0.expr={quote_plus(_text(expression))}&g0.tab={tab}"


# Go's own.


def _basic(value: Any) -> str:
    kind = type_name(value)
    if kind not in ("bool", "int", "float64", "string", "<nil>"):
        raise TemplateError("non-comparable type " + kind)
    return kind


def _eq(first: Any, *others: Any) -> bool:
    if not others:
        raise TemplateError("missing argument for comparison")
    for other in others:
        if None not in (first, other) and _basic(first) != _basic(other):
            raise TemplateError("incompatible types for comparison")
        if first == other:
            return True
    return False


def _ordered(holds: Callable[[Any, Any], bool]) -> Callable[[Any, Any], bool]:
    def compare(first: Any, second: Any) -> bool:
        if _basic(first) != _basic(second):
            raise TemplateError("incompatible types for comparison")
        if isinstance(first, bool) or first is None:
            raise TemplateError("invalid type for comparison")
        return holds(first, second)

    return compare


def _index(value: Any, *keys: Any) -> Any:
    for key in keys:
        match value:
            case Map():
                value = value.get(_text(key), "")
            case AnyMap():
                value = value.get(_text(key))
            case list() | str() if isinstance(key, int) and 0 <= key < len(value):
                value = value[key] if isinstance(value, list) else value.encode()[key]
            case list() | str():
                raise TemplateError(f"index out of range: {text_of(key)}")
            case _:
                raise TemplateError(f"can't index item of type {type_name(value)}")
    return value


def _length(value: Any) -> int:
    if isinstance(value, str):
        return len(value.encode())
    if isinstance(value, dict | list) and not isinstance(value, Struct):
        return len(value)
    raise TemplateError(f"len of type {type_name(value)}")


def _slice(value: Any, *bounds: Any) -> Any:
    if not isinstance(value, str | list):
        raise TemplateError(f"can't slice item of type {type_name(value)}")
    low, high = (*bounds, *(0, len(value))[len(bounds) :])[:2]
    if not (isinstance(low, int) and isinstance(high, int) and 0 <= low <= high <= len(value)):
        raise TemplateError(f"index out of range: {text_of(high)}")
    return value[low:high]


def _arguments(*values: Any) -> AnyMap:
    return AnyMap({f"arg{number}": value for number, value in enumerate(values)})


_FIXED: dict[str, Callable[..., Any]] = {
    "and": lambda first, *rest: next((one for one in (first, *rest) if not is_true(one)), (first, *rest)[-1]),
    "or": lambda first, *rest: next((one for one in (first, *rest) if is_true(one)), (first, *rest)[-1]),
    "not": lambda value: not is_true(value),
    "eq": _eq,
    "ne": lambda first, second: not _eq(first, second),
    "lt": _ordered(lambda first, second: first < second),
    "le": _ordered(lambda first, second: first <= second),
    "gt": _ordered(lambda first, second: first > second),
    "ge": _ordered(lambda first, second: first >= second),
    "len": _length,
    "index": _index,
    "slice": _slice,
    "print": lambda *values: printed(values),
    "println": lambda *values: " ".join(map(text_of, values)) + "\n",
    "printf": lambda form, *values: formatted(_text(form), values),
    "html": lambda *values: html.escape(printed(values)).replace("&quot;", "&#34;").replace("&#x27;", "&#39;"),
    "js": lambda *values: "".join(_JS.get(one, one) for one in printed(values)),
    "urlquery": lambda *values: quote_plus(printed(values)),
    "first": _first,
    "label": lambda name, one: _sample(one)["Labels"].get(_text(name), ""),
    "value": lambda one: _sample(one)["Value"],
    "strvalue": lambda one: _sample(one)["Labels"].get("__value__", ""),
    "args": _arguments,
    "reReplaceAll": _re_replace_all,
    "safeHtml": _text,
    "match": lambda pattern, text: _pattern(_text(pattern)).search(_text(text)) is not None,
    "title": _title,
    "toUpper": lambda text: _text(text).upper(),
    "toLower": lambda text: _text(text).lower(),
    "graphLink": _graph_link(0),
    "tableLink": _graph_link(1),
    "sortByLabel": _sorted_by_label,
    "stripPort": _strip_port,
    "stripDomain": _strip_domain,
    "humanize": humanize,
    "humanize1024": humanize1024,
    "humanizeDuration": humanize_duration,
    "humanizePercentage": lambda value: _short(_number(value) * 100) + "%",
    "humanizeTimestamp": _humanize_timestamp,
    "toTime": _to_time,
    "toJson": lambda value: json.dumps(value, ensure_ascii=False, separators=(",", ":")),
    "join": lambda separator, values: _text(separator).join(map(text_of, _list(values))),
    "parseDuration": _parse_duration,
    "urlQueryEscape": lambda text: quote_plus(_text(text)),
}

NAMES = frozenset(functions(lambda _: [], ""))
"""Of all of them."""
