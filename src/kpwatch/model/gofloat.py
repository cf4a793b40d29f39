"""Floats as Go prints them.

Three printers of the field differ only in when they switch to an exponent: `strconv.FormatFloat(f, 'g', -1, 64)`
(Categraf's `--test`, the text exposition, `le` values), and the two of Prometheus' JSON. All use the shortest digits
that read back as the same float, which is what Python's `repr` finds too.
"""

from __future__ import annotations

import math


def _special(value: float) -> str | None:
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "+Inf" if value > 0 else "-Inf"
    return None


def _digits(value: float) -> tuple[str, str, int]:
    """(sign, digits without leading or trailing zeros, decimal exponent of the first digit)."""
    sign = "-" if math.copysign(1.0, value) < 0 else ""
    mantissa, _, exponent = repr(abs(value)).partition("e")
    whole, _, fraction = mantissa.partition(".")
    digits = whole + fraction
    point = len(whole) + (int(exponent) if exponent else 0)
    stripped = digits.lstrip("0")
    point -= len(digits) - len(stripped)
    stripped = stripped.rstrip("0")
    return sign, stripped or "0", point - 1 if stripped else 0


def _exponent_form(sign: str, digits: str, exponent: int) -> str:
    fraction = "." + digits[1:] if len(digits) > 1 else ""
    return f"{sign}{digits[0]}{fraction}e{'-' if exponent < 0 else '+'}{abs(exponent):02d}"


def _plain_form(sign: str, digits: str, exponent: int) -> str:
    if exponent < 0:
        return f"{sign}0.{'0' * (-exponent - 1)}{digits}"
    if len(digits) <= exponent + 1:
        return sign + digits + "0" * (exponent + 1 - len(digits))
    return f"{sign}{digits[: exponent + 1]}.{digits[exponent + 1 :]}"


def format_g(value: float) -> str:
    """As Go's 'g' with shortest digits: with an exponent iff the decimal exponent is < -4 or >= 6.

    Go takes precision 6 for this decision where the precision is "shortest" (strconv/ftoa.go, `eprec`):
    319786 stays, 1000000 becomes 1e+06, 17652.749911909214 stays, 0.00001 becomes 1e-05.
    """
    special = _special(value)
    if special is not None:
        return special
    sign, digits, exponent = _digits(value)
    if exponent < -4 or exponent >= 6:
        return _exponent_form(sign, digits, exponent)
    return _plain_form(sign, digits, exponent)


def format_json(value: float) -> str:
    """As Prometheus' HTTP API writes sample values: plain digits unless < 1e-6 or >= 1e21 in size."""
    special = _special(value)
    if special is not None:
        return special
    sign, digits, exponent = _digits(value)
    if value != 0 and (exponent < -6 or exponent >= 21):
        return _exponent_form(sign, digits, exponent)
    return _plain_form(sign, digits, exponent)


def format_plain(value: float) -> str:
    """As Go's 'f' with shortest digits: never with an exponent (numbers in a query's text)."""
    return _special(value) or _plain_form(*_digits(value))
