"""Durations as text: the two ways the field writes them, and seconds on our side.

Go's (`time.ParseDuration`: `1m30s`, `500ms`, `1.5h`, a sign allowed, no days) stands in Categraf's files; Prometheus'
(`model.ParseDuration`: `15d`, `1h30m`, whole numbers, each unit once and from large to small) stands in retention
options and rules. Both return float seconds and raise ValueError with the rule that was broken.
"""

from __future__ import annotations

_GO_UNITS_SECONDS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "μs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}

_PROMETHEUS_UNITS_MS = {
    "y": 365 * 86_400_000,
    "w": 7 * 86_400_000,
    "d": 86_400_000,
    "h": 3_600_000,
    "m": 60_000,
    "s": 1_000,
    "ms": 1,
}

_GO_RULE = 'expected a Go duration such as "500ms", "15s", "1m30s" (units ns us ms s m h)'
_PROMETHEUS_RULE = 'expected a duration such as "15d", "1h30m", "500ms" (units y w d h m s ms, large to small)'

_NUMBER = frozenset("0123456789.")


def parse_go(text: str) -> float:
    """Seconds of a Go duration (time.ParseDuration of Go's standard library)."""
    sign = -1.0 if text.startswith("-") else 1.0
    body = text[1:] if text[:1] in ("+", "-") else text
    if body == "0":
        return 0.0
    parts = _parts(body)
    if not parts or any(unit not in _GO_UNITS_SECONDS or not _is_decimal(number) for number, unit in parts):
        raise ValueError(_GO_RULE)
    return sign * sum(float(number) * _GO_UNITS_SECONDS[unit] for number, unit in parts)


def parse_prometheus(text: str) -> float:
    """Seconds of a Prometheus duration (prometheus/common, model/time.go); "0" needs no unit."""
    if text == "0":
        return 0.0
    parts = _parts(text)
    order = list(_PROMETHEUS_UNITS_MS)
    if not parts or any(unit not in order or not number.isdigit() for number, unit in parts):
        raise ValueError(_PROMETHEUS_RULE)
    ranks = [order.index(unit) for _, unit in parts]
    if ranks != sorted(set(ranks)):
        raise ValueError(_PROMETHEUS_RULE)
    return sum(int(number) * _PROMETHEUS_UNITS_MS[unit] for number, unit in parts) / 1000


def _is_decimal(number: str) -> bool:
    return number.count(".") <= 1 and number != "."


def _parts(text: str) -> list[tuple[str, str]]:
    """`1m30s` -> [("1", "m"), ("30", "s")]; [] where text does not alternate numbers and units."""
    parts: list[tuple[str, str]] = []
    position = 0
    while position < len(text):
        number_end = _run(text, position, digits=True)
        unit_end = _run(text, number_end, digits=False)
        if number_end in (position, unit_end):
            return []
        parts.append((text[position:number_end], text[number_end:unit_end]))
        position = unit_end
    return parts


def _run(text: str, position: int, *, digits: bool) -> int:
    while position < len(text) and (text[position] in _NUMBER) == digits:
        position += 1
    return position
