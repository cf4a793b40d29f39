"""`[[instances]]` -> one TargetOptions per URL."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import TYPE_CHECKING

from kpwatch.base.errors import ConfigError
from kpwatch.config.build_parts import checked_headers, expand, tls_options
from kpwatch.config.build_rules import sample_rules
from kpwatch.config.urls import health_url, parse_url, render
from kpwatch.scrape.options import DELETE_LABEL, TargetOptions

if TYPE_CHECKING:
    from kpwatch.config.checker import Section
    from kpwatch.config.expand import Expander
    from kpwatch.config.kinds import Pairs
    from kpwatch.config.urls import Url

MIN_INTERVAL_SECONDS = 0.1
"""Shorter ones would do nothing but scrape."""

_DEFAULT_TIMEOUT_SECONDS = 3.0
_METRICS_PATH = "/metrics"
_OFF = "off"
_IGNORED_HEADER = "host"


def target_options(
    plugin: Section, limits: Section, expander: Expander, interval_seconds: float
) -> tuple[TargetOptions, ...]:
    """All targets of the plugin, in the order of the file; a URL that comes twice with the same labels counts once."""
    own_seconds = plugin.seconds("interval")
    cycle_seconds = own_seconds if own_seconds > 0 else interval_seconds
    targets: dict[tuple[str, Pairs, Pairs], TargetOptions] = {}
    for section in plugin.many("instances"):
        shared = _shared_options(section, limits, expander, cycle_seconds)
        for index, text in enumerate(section.texts("urls")):
            target = _target(section, index, expand(section, "urls", text, expander, index), shared)
            if target is None:
                continue  # reported
            key = (target.url, target.url_labels, target.labels)
            if key in targets:
                section.warn("urls", f"{target.url} comes twice with the same labels; it is scraped once", index)
            targets.setdefault(key, target)
    if not any(section.texts("urls") for section in plugin.many("instances")):
        plugin.warn("instances", "there is no URL in any of them: nothing is scraped")
    return tuple(targets.values())


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
        body_limit_bytes=limits.whole("body_limit_bytes"),
        sample_limit=max(limits.whole("sample_limit"), 0),
        rules=sample_rules(section),
    )


def _label(section: Section, name: str, value: str, expander: Expander) -> str:
    return value if value == DELETE_LABEL else expand(section, "labels", value, expander, name)


def _target(section: Section, index: int, text: str, shared: TargetOptions) -> TargetOptions | None:
    """One URL of the instance, or None if it cannot be used."""
    try:
        url = parse_url(text, default_path=_METRICS_PATH)
    except ConfigError as error:
        section.error("urls", str(error), index)
        return None
    return replace(
        shared,
        url=url.request,
        url_labels=_url_labels(section, url),
        username=shared.username or url.username,
        password=shared.password if shared.username else url.password,
        tls=tls_options(section, url, always=False),
        health_url=_health(section, url),
    )


def _url_labels(section: Section, url: Url) -> Pairs:
    """The labels that the URL itself gives, by the templates of the instance."""
    labels: dict[str, str] = {}
    key = section.text("url_label_key") or "instance"
    if key != DELETE_LABEL:
        template = section.text("url_label_value")
        labels[key] = _rendered(section, "url_label_value", template, url) if template else url.label
    for name, template in section.pairs("url_label_pair"):
        if template.strip(" "):
            labels[name] = _rendered(section, "url_label_pair", template, url, name)
    return tuple(labels.items())


def _rendered(section: Section, key: str, template: str, url: Url, *inside: str) -> str:
    try:
        return render(template, url)
    except ConfigError as error:
        section.error(key, str(error), *inside)
        return ""


def _health(section: Section, url: Url) -> str:
    asked = section.text("kpwatch_health")
    if not asked:
        return health_url(url)
    if asked == _OFF:
        return ""
    try:
        base = parse_url(asked)
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
