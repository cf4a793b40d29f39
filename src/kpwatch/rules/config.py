"""`hub.toml` (`--config`): who is told of alerts, with what cannot stand on a command line.

    [[alertmanagers]]
    url = "https://alertmanager:9093"
    basic_auth_file = "/etc/kpwatch/am-password"

    [[webhooks]]
    name = "ops"
    kind = "dingtalk"
    url_file = "/etc/kpwatch/dingtalk-url"
    secret_file = "/etc/kpwatch/dingtalk-secret"
    matchers = ['severity=~"critical|warning"']

Every key is a row of `_ALERTMANAGER` or `_WEBHOOK`; an unknown one, or one of the wrong kind, is an error that names
file, table and key. Secrets are files, or values that are never shown.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from kpwatch.base.durations import parse_prometheus
from kpwatch.base.errors import BadQuery, ConfigError
from kpwatch.base.urls import take_apart
from kpwatch.model.matchers import Matcher
from kpwatch.rules.bodies import KINDS, TITLE, check_template
from kpwatch.rules.go_parse import TemplateError
from kpwatch.rules.options import Notifying
from kpwatch.rules.posting import Address, secret_of
from kpwatch.rules.webhooks import WebhookOptions

if TYPE_CHECKING:
    from pathlib import Path

_MATCHER = re.compile(r'\s*([A-Za-z_][A-Za-z0-9_]*)\s*(=~|!~|!=|=)\s*(?:"((?:\\.|[^"\\])*)"|([^"\s]*))\s*', re.DOTALL)
_ESCAPED = re.compile(r"\\(.)", re.DOTALL)
_OPERATORS = {"=": "=", "!=": "!=", "=~": "=~", "!~": "!~"}
Read = Callable[[Any], Any]


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError("expected a text")  # noqa: TRY004 - of a file, not of code
    return value


def _yes_no(value: Any) -> bool:
    if not isinstance(value, bool):
        raise ValueError("expected true or false")  # noqa: TRY004 - as above
    return value


def _seconds(value: Any) -> float:
    return parse_prometheus(_text(value))


def _count(value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise ValueError("expected a whole number; 0 = any number")
    return value


def _template(value: Any) -> str:
    check_template(_text(value))
    return str(value)


def _file(value: Any) -> str:
    secret_of(_text(value))
    return str(value)


def _url(value: Any) -> str:
    take_apart(_text(value))
    return str(value)


def _kind(value: Any) -> str:
    if value not in KINDS:
        raise ValueError(f"expected one of {', '.join(KINDS)}")
    return str(value)


def _headers(value: Any) -> tuple[tuple[str, str], ...]:
    if not isinstance(value, dict) or not all(isinstance(one, str) for one in value.values()):
        raise ValueError('expected a table of texts such as { X-Scope = "a" }')
    return tuple((str(name).lower(), str(text)) for name, text in value.items())


def _matchers(value: Any) -> tuple[Matcher, ...]:
    if not isinstance(value, list):
        raise ValueError("expected a list such as ['severity=\"critical\"']")  # noqa: TRY004 - as above
    return tuple(map(read_matcher, value))


def read_matcher(text: Any) -> Matcher:
    """`severity="critical"`, `job=~a.*`; raises ValueError."""
    found = _MATCHER.fullmatch(_text(text))
    if found is None:
        raise ValueError(f'{text!r}: expected NAME="VALUE" with one of = != =~ !~')
    value = _ESCAPED.sub(r"\1", found[3]) if found[3] is not None else found[4]
    matcher = Matcher(found[1], _OPERATORS[found[2]], value)  # type: ignore[arg-type]
    try:
        matcher.test("")
    except BadQuery as error:
        raise ValueError(str(error)) from error
    return matcher


_ADDRESS: dict[str, Read] = {
    "url": _url,
    "basic_auth_file": _file,
    "bearer_token_file": _file,
    "headers": _headers,
    "tls_ca": _text,
    "tls_skip_verify": _yes_no,
    "timeout": _seconds,
}
_ALERTMANAGER = _ADDRESS
_WEBHOOK: dict[str, Read] = {
    **_ADDRESS,
    "url_file": _file,
    "name": _text,
    "kind": _kind,
    "secret_file": _file,
    "title": _template,
    "text": _template,
    "body": _template,
    "matchers": _matchers,
    "send_resolved": _yes_no,
    "wait": _seconds,
    "repeat": _seconds,
    "max_alerts": _count,
}
_TABLES = {"alertmanagers": _ALERTMANAGER, "webhooks": _WEBHOOK}
_FIELDS = {"timeout": "timeout_seconds", "wait": "wait_seconds", "repeat": "repeat_seconds", "max_alerts": "alerts_max"}


def read_config(path: Path) -> Notifying:
    """What a file says; raises ConfigError naming file, table, key and rule."""
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"--config {path}: cannot be read: {error}") from error
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"--config {path}: not TOML: {error}") from error
    for name, tables in document.items():
        if name not in _TABLES or not isinstance(tables, list):
            known = ", ".join(f"[[{table}]]" for table in _TABLES)
            raise ConfigError(f"--config {path}: {name!r} is none of {known}")
    managers = [
        _address(given, f"--config {path}: [[alertmanagers]] {number}")
        for number, given in _read_tables(path, document, "alertmanagers")
    ]
    webhooks = [
        _webhook(given, number, f"--config {path}: [[webhooks]] {number}")
        for number, given in _read_tables(path, document, "webhooks")
    ]
    names = [webhook.name for webhook in webhooks]
    if len(set(names)) != len(names):
        raise ConfigError(f"--config {path}: two [[webhooks]] have the same name; what each was told is kept by it")
    return Notifying(tuple(managers), tuple(webhooks))


def _read_tables(path: Path, document: Mapping[str, Any], name: str) -> list[tuple[int, dict[str, Any]]]:
    found = []
    for number, table in enumerate(document.get(name, []), 1):
        where = f"--config {path}: [[{name}]] {number}"
        values = {}
        for key, value in table.items():
            read = _TABLES[name].get(key)
            if read is None:
                raise ConfigError(f"{where}: the key {key!r} is none of {', '.join(_TABLES[name])}")
            try:
                values[_FIELDS.get(key, key)] = read(value)
            except (ValueError, TemplateError, ConfigError) as error:
                raise ConfigError(f"{where}: {key}: {error}") from error
        found.append((number, values))
    return found


def _address(given: dict[str, Any], where: str) -> Address:
    if not given.get("url") and not given.get("url_file"):
        raise ConfigError(f"{where}: url: where are messages to go?")
    values = dict(given)
    url = str(values.pop("url", ""))
    if url:
        parts = take_apart(url)
        if parts.username or parts.password:
            raise ConfigError(f"{where}: url: give its password by basic_auth_file")
    return Address(shown_url(url), url.rstrip("/"), **values)


def _webhook(given: dict[str, Any], number: int, where: str) -> WebhookOptions:
    keys = ("url", "url_file", "basic_auth_file", "bearer_token_file", "headers", "tls_ca", "tls_skip_verify")
    address = {key: given.pop(key) for key in (*keys, "timeout_seconds") if key in given}
    kind = given.pop("kind", "json")
    name = given.pop("name", "") or f"webhook-{number}"
    if given.get("secret_file") and KINDS[kind].sign is None:
        raise ConfigError(f"{where}: secret_file: messages of kind {kind!r} are not signed")
    made = _address(address, where)
    shown = Address(
        f"{made.shown} ({kind})" if made.shown else f"{name} ({kind})",
        made.url,
        **{key: value for key, value in address.items() if key != "url"},
    )
    return WebhookOptions(name=name, kind=kind, address=shown, **{"title": TITLE, **given})


def shown_url(url: str) -> str:
    """Scheme and host: a webhook's path and query are its secret; an Alertmanager's path is not, but short enough."""
    if not url:
        return ""
    parts = take_apart(url)
    return f"{parts.scheme}://{parts.host}"


def alertmanager_address(text: str) -> Address:
    """Of `--alertmanager URL`; raises ConfigError."""
    parts = take_apart(text)
    if parts.username or parts.password:
        raise ConfigError("--alertmanager: a URL is shown in logs and pages; give its password by --config hub.toml")
    url = f"{parts.scheme}://{parts.host}{parts.path}".rstrip("/")
    return Address(url, url)
