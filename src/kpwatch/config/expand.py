r"""`$hostname`, `$ip`, `$sn` and environment variables in values, exactly as Categraf expands them. Pure.

First `$hostname`, then `$ip`, then `$sn` are replaced as plain text wherever they stand (`$ipaddr` is the address and
`addr`), then Go's `os.Expand` fills `$NAME` and `${NAME}` from the environment, with `"` and `\` of the value escaped
(config/config.go, `Expand`). So `$HOSTNAME` is an environment variable and `${hostname}` is one too.

What is not set expands to nothing, as in the original; `Expander.unset` lets the caller say so.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_SPECIAL = frozenset("*#$@!?-0123456789")
"""One-character names of the shell, as `os.Expand` has them."""

_NAME = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_")


class Expander:
    """Expands values for one agent."""

    def __init__(
        self, *, hostname: str, address: Callable[[], str], serial: Callable[[], str], environment: Mapping[str, str]
    ) -> None:
        """`address` and `serial` give `$ip` and `$sn`; they are asked only where a value holds these."""
        self._hostname = hostname
        self._address = address
        self._serial = serial
        self._environment = environment

    def for_hostname(self, hostname: str) -> Expander:
        """The same with another `$hostname`."""
        return Expander(hostname=hostname, address=self._address, serial=self._serial, environment=self._environment)

    def variable(self, name: str) -> str:
        """An environment variable as it is, "" where it is not set."""
        return self._environment.get(name, "")

    def expand(self, text: str) -> str:
        """`text` with everything replaced."""
        if "$" not in text:
            return text
        text = text.replace("$hostname", self._hostname)
        if "$ip" in text:
            text = text.replace("$ip", self._address())
        if "$sn" in text:
            text = text.replace("$sn", self._serial())
        return go_expand(text, self._escaped)

    def default_spool_directory(self) -> str:
        """`$STATE_DIRECTORY/spool` as systemd names it (the first of several), else the image's own."""
        state = self._environment.get("STATE_DIRECTORY", "").partition(":")[0]
        return f"{state}/spool" if state else "/var/lib/kpwatch/spool"

    def unset(self, text: str) -> list[str]:
        """Names of the environment variables in `text` that are not set."""
        for ours in ("$hostname", "$ip", "$sn"):
            text = text.replace(ours, "")
        names: list[str] = []
        go_expand(text, lambda name: names.append(name) or "")  # type: ignore[func-returns-value]
        return [name for name in names if name not in self._environment]

    def _escaped(self, name: str) -> str:
        return self._environment.get(name, "").replace("\\", "\\\\").replace('"', '\\"')


def go_expand(text: str, lookup: Callable[[str], str]) -> str:
    """Go's os.Expand: `$NAME`, `${NAME}` and `$` with one of `*#$@!?-0-9`; any other `$` stays."""
    result: list[str] = []
    position = 0
    while (dollar := text.find("$", position)) >= 0 and dollar + 1 < len(text):
        result.append(text[position:dollar])
        name, width = _name_after(text, dollar + 1)
        if name:
            result.append(lookup(name))
        elif width == 0:
            result.append("$")
        position = dollar + 1 + width
    result.append(text[position:])
    return "".join(result)


def _name_after(text: str, position: int) -> tuple[str, int]:
    """(name, characters it takes) behind a `$`; ("", n > 0) for broken braces, which os.Expand swallows."""
    if text[position] == "{":
        closing = text.find("}", position)
        if text[position + 1 : position + 2] in _SPECIAL and text[position + 2 : position + 3] == "}":
            return text[position + 1], 3
        if closing < 0:
            return "", 1
        return text[position + 1 : closing], closing - position + 1
    if text[position] in _SPECIAL:
        return text[position], 1
    end = position
    while end < len(text) and text[end] in _NAME:
        end += 1
    return text[position:end], end - position
