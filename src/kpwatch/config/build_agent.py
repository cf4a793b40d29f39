"""Checked sections -> the agent's and the writers' options: defaults filled in, values expanded, rules across keys."""

from __future__ import annotations

import math
import os
from typing import TYPE_CHECKING, Literal, cast, get_args

from kpwatch.base.errors import ConfigError
from kpwatch.base.urls import take_apart
from kpwatch.config.build_discovery import discoveries
from kpwatch.config.build_endpoint import endpoint_options
from kpwatch.config.build_heartbeat import heartbeat_options
from kpwatch.config.build_kubernetes import kubernetes_options
from kpwatch.config.build_parts import checked_headers, expand, tls_options, warn_of_tls_keys
from kpwatch.config.build_rules import relabel_rules
from kpwatch.config.build_targets import finds_targets, instances, listed_targets
from kpwatch.config.options import AgentOptions
from kpwatch.config.proxies import proxy_url
from kpwatch.send.options import (
    FIXED_HEADERS,
    IdentMode,
    ProtocolWish,
    QueueOptions,
    RestampsWish,
    WriterOptions,
)
from kpwatch.spool.options import SpoolOptions

if TYPE_CHECKING:
    from kpwatch.base.urls import UrlParts
    from kpwatch.config.checker import Section
    from kpwatch.config.expand import Expander
    from kpwatch.config.kinds import Pairs

_DEFAULT_INTERVAL_SECONDS = 15.0
SELF_METRICS_MIN_SECONDS = 15.0
"""How an agent is changes more slowly than what it scrapes."""
_DEFAULT_PORTS = {"http": 80, "https": 443}
_PRECISIONS = ("ms", "s", "m")
_PROVIDERS = ("local", "http")


_SOME_HTTP_URL, _SOME_HTTPS_URL = "http://unknown/", "https://unknown/"
"""Stand for a writer's URL that cannot be read, so that its other keys are checked."""

_GRAIN_SECONDS = {"ms": 0.0, "s": 1.0, "m": 60.0}


def agent_options(
    root: Section, plugin: Section | None, expander: Expander, machine: str, interval_override_seconds: float | None
) -> AgentOptions:
    """The whole agent; what is wrong goes to the sections' report."""
    settings = root.only("global")
    hostname = expand(settings, "hostname", settings.text("hostname"), expander).strip() or machine
    named = expander.for_hostname(hostname)
    _check_providers(settings)
    interval_seconds = interval_override_seconds or settings.seconds("interval")
    if interval_seconds <= 0:
        interval_seconds = _DEFAULT_INTERVAL_SECONDS
    limits = root.only("kpwatch")
    patterns = instances(plugin, limits, named, interval_seconds) if plugin is not None else []
    if plugin is not None:
        _warn_of_empty(plugin, [section for section, _ in patterns])
    global_labels = tuple(
        (name, expand(settings, "labels", value, named, name)) for name, value in settings.pairs("labels")
    )
    cluster = kubernetes_options(limits.only("kubernetes"), limits, patterns, named, interval_seconds)
    targets, precision = listed_targets(patterns, named), _precision(settings)
    shortest_seconds = min((target.interval_seconds for target in targets), default=math.inf)
    if shortest_seconds < _GRAIN_SECONDS[precision]:
        settings.warn(
            "precision",
            f"{precision!r} gives several scrapes of a target one timestamp: its interval is {shortest_seconds:g} s; "
            "receivers keep one of them, and Prometheus refuses such requests",
        )
    return AgentOptions(
        hostname=hostname,
        targets=targets,
        discoveries=(*discoveries(patterns, limits, named), *cluster),
        writers=_writers(root, named),
        queue=_queue(root.only("writer_opt"), limits),
        spool=_spool(limits, expander.default_spool_directory()),
        omit_hostname=settings.flag("omit_hostname"),
        global_labels=global_labels,
        precision=precision,
        drain_seconds=max(limits.seconds("drain_timeout"), 0.0),
        endpoint=endpoint_options(root.only("http"), limits, named),
        ready_max_lag_seconds=max(limits.seconds("ready_max_lag"), 0.0),
        self_metrics_seconds=max(interval_seconds, SELF_METRICS_MIN_SECONDS) if limits.flag("self_metrics") else 0.0,
        reload_seconds=max(limits.seconds("reload_interval"), 0.0),
        stale_at_shutdown=limits.flag("stale_at_shutdown"),
        heartbeat=heartbeat_options(root.only("heartbeat"), named, hostname, global_labels),
    )


def _warn_of_empty(plugin: Section, sections: list[Section]) -> None:
    empty = [section for section in sections if not (section.texts("urls") or finds_targets(section))]
    if len(empty) == len(sections):
        plugin.warn("instances", "there is no URL in any of them: nothing is scraped")
        return
    for section in empty:
        section.warn("", "there is no URL in it: nothing is scraped by it")


def writer_hosts(root: Section) -> tuple[tuple[str, int], ...]:
    """(host, port) of every writer whose URL can be read; errors are reported elsewhere."""
    hosts = []
    for section in root.many("writers"):
        try:
            url = take_apart(section.text("url"))
        except ConfigError:
            continue  # _writer reports it
        hosts.append((url.hostname, int(url.port or _DEFAULT_PORTS[url.scheme])))
    return tuple(hosts)


def _check_providers(settings: Section) -> None:
    for index, provider in enumerate(settings.texts("providers")):
        if provider.lower() not in _PROVIDERS:
            settings.error("providers", f'{provider!r}: expected "local"', index)
        elif provider.lower() == "http":
            settings.warn("providers", '"http" has no effect here: the configuration comes from files', index)


def _precision(settings: Section) -> Literal["ms", "s", "m"]:
    precision = settings.text("precision")
    if precision not in _PRECISIONS:
        if precision:
            settings.warn("precision", f'{precision!r} means "ms", as in the original; expected "ms", "s" or "m"')
        return "ms"
    return cast('Literal["ms", "s", "m"]', precision)


def _queue(section: Section, limits: Section) -> QueueOptions:
    default = QueueOptions()
    batch, samples = section.whole("batch"), section.whole("chan_size")
    return QueueOptions(
        batch_samples=batch if batch > 0 else default.batch_samples,
        queue_samples=samples if samples > 0 else default.queue_samples,
        queue_bytes=limits.whole("queue_bytes"),
    )


def _spool(limits: Section, default: str) -> SpoolOptions:
    return SpoolOptions(
        directory=limits.text("spool_dir") or default,
        max_bytes=limits.whole("spool_max_bytes"),
        max_age_seconds=limits.seconds("spool_max_age"),
    )


def _writers(root: Section, expander: Expander) -> tuple[WriterOptions, ...]:
    sections = root.many("writers")
    if not sections:
        root.warn("writers", "there are none: what is scraped goes nowhere")
    writers = (_writer(section, expander) for section in sections)
    return tuple(writer for writer in writers if writer is not None)


def _writer(section: Section, expander: Expander) -> WriterOptions | None:
    """One receiver, or None if its URL cannot be used; what else is wrong with it is said all the same."""
    usable, headers, relabel = (
        _writer_url(section),
        _writer_headers(section),
        relabel_rules(section.many("relabel_configs")),
    )
    ident = cast("IdentMode", _one_of(section, "ident", get_args(IdentMode)))
    protocol = cast("ProtocolWish", _one_of(section, "protocol", get_args(ProtocolWish)))
    restamps = cast("RestampsWish", _one_of(section, "restamps", get_args(RestampsWish)))
    url = usable or take_apart(_SOME_HTTPS_URL if section.text("url").startswith("https") else _SOME_HTTP_URL)
    default = WriterOptions(url="")
    user, password = section.text("basic_auth_user"), section.text("basic_auth_pass")
    if password and not user:
        section.warn("basic_auth_pass", "has no effect without basic_auth_user, as in the original")
    if url.scheme != "https":
        warn_of_tls_keys(section, "has no effect: the URL is not https")
    password_file = _secret_file(section, "basic_auth_pass_file")
    if password_file and not (user or url.username):
        section.warn("basic_auth_pass_file", "has no effect without basic_auth_user")
    token, token_file = section.text("bearer_token_string"), _secret_file(section, "bearer_token_file")
    if (token or token_file) and (user or url.username):
        section.warn("basic_auth_user", "has no effect beside a bearer token")
    retry_min_seconds = _positive(section.seconds("retry_min"), default.retry_min_seconds)
    retry_max_seconds = _positive(section.seconds("retry_max"), default.retry_max_seconds)
    if retry_max_seconds < retry_min_seconds:
        section.warn("retry_max", f"is shorter than retry_min: every pause is {retry_max_seconds:g} s")
    writer = WriterOptions(
        url=url.request,
        basic_auth_user=user or url.username,
        basic_auth_pass=password if user else url.password,
        basic_auth_pass_file=password_file,
        bearer_token=token,
        bearer_token_file=token_file,
        headers=headers,
        timeout_seconds=_positive(section.seconds("timeout"), default.timeout_seconds),
        dial_timeout_seconds=_positive(section.seconds("dial_timeout"), default.dial_timeout_seconds),
        tls=tls_options(section, always=True) if url.scheme == "https" else None,
        proxy_url=proxy_url(section, url, expander.variable),
        ident=ident,
        protocol=protocol,
        relabel=relabel,
        hold=section.flag("hold"),
        restamps=restamps,
        max_backfill_age_seconds=max(section.seconds("max_backfill_age"), 0.0),
        retry_min_seconds=retry_min_seconds,
        retry_max_seconds=retry_max_seconds,
    )
    return writer if usable is not None else None


def _one_of(section: Section, name: str, allowed: tuple[str, ...]) -> str:
    text = section.text(name)
    if text not in allowed:
        section.error(name, f"{text!r}: expected one of {', '.join(allowed)}")
    return text


def _secret_file(section: Section, name: str) -> str:
    path = section.text(name)
    if path and not os.access(path, os.R_OK):
        section.warn(name, f"{path!r} cannot be read now; it is read again before every request")
    return path


def _writer_headers(section: Section) -> Pairs:
    headers = checked_headers(section)
    for index, (name, _) in enumerate(headers):
        if name.lower() in FIXED_HEADERS:
            section.warn("headers", f"{name} has no effect: it says what we send", 2 * index)
    return tuple(("Host" if name.lower() == "host" else name, value) for name, value in headers)


def _writer_url(section: Section) -> UrlParts | None:
    if not section.text("url"):
        section.error("url", "missing: expected where to POST, such as http://HOST:19000/prometheus/v1/write")
        return None
    try:
        return take_apart(section.text("url"), default_path="/")
    except ConfigError as error:
        section.error("url", str(error))
        return None


def _positive(seconds: float, default: float) -> float:
    return seconds if seconds > 0 else default
