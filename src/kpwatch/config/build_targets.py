"""`[[instances]]` -> a pattern each (`scrape.discovery.instance`), and by it a target for every URL listed."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from kpwatch.base.errors import ConfigError
from kpwatch.base.urls import take_apart
from kpwatch.config.build_parts import checked_headers, expand, tls_options, warn_of_tls_keys
from kpwatch.config.build_rules import sample_rules
from kpwatch.exposition.formats import PROTOCOLS
from kpwatch.scrape.discovery.instance import HEALTH_OFF, Instance, compiled
from kpwatch.scrape.options import DELETE_LABEL, TargetOptions

if TYPE_CHECKING:
    from kpwatch.base.tls import TlsOptions
    from kpwatch.config.checker import Section
    from kpwatch.config.expand import Expander
    from kpwatch.config.kinds import Pairs

MIN_INTERVAL_SECONDS = 0.1
"""Shorter ones would do nothing but scrape."""

_DEFAULT_TIMEOUT_SECONDS = 3.0
_IGNORED_HEADER = "host"


def instances(
    plugin: Section, limits: Section, expander: Expander, interval_seconds: float
) -> list[tuple[Section, Instance]]:
    """The pattern of every `[[instances]]` table, beside the table."""
    own_seconds = plugin.seconds("interval")
    cycle_seconds = own_seconds if own_seconds > 0 else interval_seconds
    return [(section, _instance(section, limits, expander, cycle_seconds)) for section in plugin.many("instances")]


def listed_targets(patterns: list[tuple[Section, Instance]], expander: Expander) -> tuple[TargetOptions, ...]:
    """Targets of all `urls`, in the order of the file; a URL that comes twice with the same labels counts once."""
    targets: dict[tuple[str, Pairs, Pairs], TargetOptions] = {}
    for section, instance in patterns:
        for index, text in enumerate(section.texts("urls")):
            try:
                target = instance.target(expand(section, "urls", text, expander, index))
            except ConfigError as error:
                section.error("urls", str(error), index)
                continue
            key = (target.url, target.url_labels, target.labels)
            if key in targets:
                section.warn("urls", f"{target.url} comes twice with the same labels; it is scraped once", index)
            targets.setdefault(key, target)
    return tuple(targets.values())


def _instance(section: Section, limits: Section, expander: Expander, cycle_seconds: float) -> Instance:
    return Instance(
        shared=_shared_options(section, limits, expander, cycle_seconds),
        url_label_key=section.text("url_label_key") or "instance",
        url_label_value=_template(section, "url_label_value", section.text("url_label_value")),
        url_label_pair=tuple(
            (name, _template(section, "url_label_pair", template, name))
            for name, template in section.pairs("url_label_pair")
        ),
        tls=_tls(section),
        health=_health(section),
    )


def _shared_options(section: Section, limits: Section, expander: Expander, cycle_seconds: float) -> TargetOptions:
    """What all URLs of one instance share."""
    interval_seconds = cycle_seconds * max(section.whole("interval_times"), 1)
    if interval_seconds < MIN_INTERVAL_SECONDS:
        section.error("urls", f"the interval is {interval_seconds} s; the shortest is {MIN_INTERVAL_SECONDS} s")
    timeout_seconds = section.seconds("timeout")
    username, password = _basic_auth(section)
    return TargetOptions(
        url="",
        interval_seconds=interval_seconds,
        timeout_seconds=timeout_seconds if timeout_seconds > 0 else _DEFAULT_TIMEOUT_SECONDS,
        labels=tuple((name, _label(section, name, value, expander)) for name, value in section.pairs("labels")),
        headers=_headers(section),
        username=username,
        password=password,
        bearer_token=section.text("bearer_token_string"),
        bearer_token_file=_token_file(section),
        body_limit_bytes=max(section.whole("body_limit_bytes"), 0) or limits.whole("body_limit_bytes"),
        sample_limit=max(section.whole("sample_limit") or limits.whole("sample_limit"), 0),
        scrape_protocols=_scrape_protocols(section),
        honor_timestamps=section.flag("honor_timestamps"),
        rules=sample_rules(section),
    )


def _scrape_protocols(section: Section) -> tuple[str, ...]:
    for index, name in enumerate(section.texts("scrape_protocols")):
        if name not in PROTOCOLS:
            section.error("scrape_protocols", f"{name!r}: expected one of {', '.join(PROTOCOLS)}", index)
    return tuple(dict.fromkeys(section.texts("scrape_protocols"))) or tuple(PROTOCOLS)


def _label(section: Section, name: str, value: str, expander: Expander) -> str:
    return value if value == DELETE_LABEL else expand(section, "labels", value, expander, name)


def _template(section: Section, key: str, text: str, *inside: str) -> str:
    """A template as it is, or "" and an error where it is none."""
    try:
        compiled(text)
    except ConfigError as error:
        section.error(key, str(error), *inside)
        return ""
    return text


def _tls(section: Section) -> TlsOptions | None:
    """TLS keys are looked at only where an https URL is listed or may be found."""
    listed = any(text.lower().startswith(("https:", "$")) for text in section.texts("urls"))
    if listed or finds_targets(section):
        return tls_options(section, always=False)
    warn_of_tls_keys(section, "has no effect: no URL is https")
    return None


def finds_targets(section: Section) -> bool:
    """Whether an instance has targets that are not listed in it."""
    return bool(section.texts("file_sd")) or section.only("consul").flag("enabled") or section.flag("kubernetes")


def _health(section: Section) -> str:
    asked = section.text("kpwatch_health")
    if asked in ("", HEALTH_OFF):
        return asked
    try:
        base = take_apart(asked)
    except ConfigError as error:
        section.error("kpwatch_health", f'{error}, or "off"')
        return ""
    return f"{base.scheme}://{base.host}"


def _basic_auth(section: Section) -> tuple[str, str]:
    """(username, password); the original sends them only if neither is empty."""
    username, password = section.text("username"), section.text("password")
    if username and password:
        return username, password
    if username or password:
        section.warn("username", "Basic auth needs username and password; it is not sent")
    return "", ""


def _headers(section: Section) -> Pairs:
    headers = checked_headers(section)
    for index, (name, _) in enumerate(headers):
        if name.lower() == _IGNORED_HEADER:
            section.warn("headers", "Host has no effect for targets, as in the original", 2 * index)
    return tuple(pair for pair in headers if pair[0].lower() != _IGNORED_HEADER)


def _token_file(section: Section) -> str:
    path = section.text("bearer_token_file")
    if path and not os.access(path, os.R_OK):
        section.warn("bearer_token_file", f"{path!r} cannot be read now; it is read again before every scrape")
    return path
