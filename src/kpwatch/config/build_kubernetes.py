"""`[kpwatch.kubernetes]` -> what watches an API server.

Without a word about them the API server, the token and the CA are those that Kubernetes gives a pod. What is found is
scraped as the one `[[instances]]` table with `kubernetes = true` says; without such a table as the article's table does
it, with the label job="kube-proxy".
"""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, cast

from kpwatch.base.errors import ConfigError
from kpwatch.base.urls import take_apart
from kpwatch.config.build_parts import expand, tls_options, warn_of_tls_keys
from kpwatch.scrape.discovery.instance import Instance
from kpwatch.scrape.discovery.options import SERVICE_ACCOUNT, KubernetesOptions
from kpwatch.scrape.options import TargetOptions

if TYPE_CHECKING:
    from typing import Literal

    from kpwatch.base.tls import TlsOptions
    from kpwatch.config.checker import Section
    from kpwatch.config.expand import Expander

_ROLES = ("node", "pod")
_SCHEMES = ("http", "https")
_NUMBER_AT_THE_END = re.compile(r"(?:^|-)([0-9]+)$")
_LABEL_NAME = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")
_HOST, _PORT = "KUBERNETES_SERVICE_HOST", "KUBERNETES_SERVICE_PORT"
_MIN_WATCH_SECONDS = 5.0
_NEVER_SECONDS = float("inf")


def finds_without_inputs(root: Section) -> bool:
    """Whether targets are found even without an input's folder."""
    return root.only("kpwatch").only("kubernetes").flag("enable")


def kubernetes_options(
    section: Section,
    limits: Section,
    patterns: list[tuple[Section, Instance]],
    expander: Expander,
    interval_seconds: float,
) -> tuple[KubernetesOptions, ...]:
    """None or one; what is wrong goes to the section's report."""
    chosen = [(table, instance) for table, instance in patterns if table.flag("kubernetes")]
    if not section.flag("enable"):
        for table, _ in chosen:
            table.warn("kubernetes", "has no effect without [kpwatch.kubernetes] enable = true")
        return ()
    for table, _ in chosen[1:]:
        table.error("kubernetes", "a second table with it; what is found is scraped in one way")
    api_url = _api_url(section, expander)
    default = KubernetesOptions(Instance(TargetOptions("")), "")
    retry_min_seconds = section.seconds("retry_min") if section.seconds("retry_min") > 0 else default.retry_min_seconds
    shard, shards = _shard(section, expander), section.whole("shards")
    if shard >= shards:
        section.error("shard", f"{shard}: expected a number below shards = {shards}; they are counted from 0")
    return (
        KubernetesOptions(
            instance=chosen[0][1] if chosen else _usual(limits, interval_seconds),
            api_url=api_url,
            role=cast("Literal['node', 'pod']", _one_of(section, "role", _ROLES)),
            scrape=section.flag("scrape"),
            namespace=section.text("namespace"),
            pod_selector=section.text("pod_selector"),
            node_selector=section.text("node_selector"),
            scheme=_one_of(section, "scheme", _SCHEMES),
            port=_port(section),
            path=_path(section),
            address_types=section.texts("address_types") or default.address_types,
            node_labels=_node_labels(section),
            shard=shard,
            shards=shards,
            token=section.text("token_string"),
            token_file=_token_file(section),
            tls=_tls(section, api_url),
            page_objects=section.whole("page_objects"),
            answer_limit_bytes=section.whole("answer_limit_bytes"),
            resync_seconds=section.seconds("resync_interval")
            if section.seconds("resync_interval") > 0
            else _NEVER_SECONDS,
            watch_seconds=max(section.seconds("watch_timeout"), _MIN_WATCH_SECONDS),
            retry_min_seconds=retry_min_seconds,
            retry_max_seconds=max(section.seconds("retry_max"), retry_min_seconds),
            target_limit=limits.whole("target_limit"),
        ),
    )


def _usual(limits: Section, interval_seconds: float) -> Instance:
    return Instance(
        TargetOptions(
            "",
            interval_seconds=interval_seconds,
            labels=(("job", "kube-proxy"),),
            body_limit_bytes=limits.whole("body_limit_bytes"),
            sample_limit=max(limits.whole("sample_limit"), 0),
        )
    )


def _api_url(section: Section, expander: Expander) -> str:
    given = expand(section, "api_server", section.text("api_server"), expander)
    host, port = expander.variable(_HOST), expander.variable(_PORT) or "443"
    if not given and not host:
        section.error("api_server", f"missing: expected its URL, as {_HOST} is not set: this is no pod")
        return ""
    try:
        return take_apart(given or f"https://{f'[{host}]' if ':' in host else host}:{port}").request
    except ConfigError as error:
        section.error("api_server", str(error))
        return ""


def _one_of(section: Section, name: str, allowed: tuple[str, ...]) -> str:
    if section.text(name) not in allowed:
        section.error(name, f"{section.text(name)!r}: expected one of {', '.join(allowed)}")
        return allowed[0]
    return section.text(name)


def _shard(section: Section, expander: Expander) -> int:
    """A number, or the one at the end of a StatefulSet's pod's name."""
    text = expand(section, "shard", section.text("shard"), expander)
    number = _NUMBER_AT_THE_END.search(text)
    if number is None:
        section.error("shard", f'{text!r}: expected a number, or a name that ends in one, such as "$POD_NAME"')
        return 0
    return int(number[1])


def _port(section: Section) -> int:
    if section.whole("port") > 65535:
        section.error("port", f"{section.whole('port')}: expected a port between 1 and 65535")
    return section.whole("port")


def _path(section: Section) -> str:
    path = section.text("path")
    try:
        take_apart(f"http://host{path}")
    except ConfigError as error:
        section.error("path", str(error))
    if not path.startswith("/"):
        section.error("path", f"{path!r}: expected a path that begins with /")
    return path


def _node_labels(section: Section) -> tuple[tuple[str, str], ...]:
    for name, _ in section.pairs("node_labels"):
        if _LABEL_NAME.fullmatch(name) is None:
            section.error("node_labels", f"{name!r} is no label name: expected letters, digits and _", name)
    return section.pairs("node_labels")


def _token_file(section: Section) -> str:
    path = section.text("token_file")
    if not path and not section.text("token_string"):
        pod_token = f"{SERVICE_ACCOUNT}/token"
        return pod_token if os.access(pod_token, os.R_OK) else ""
    if path and not os.access(path, os.R_OK):
        section.warn("token_file", f"{path!r} cannot be read now; it is read again before every request")
    return path


def _tls(section: Section, api_url: str) -> TlsOptions | None:
    """Files are read when a connection is made and again when TLS fails, so how they look now does not count."""
    if not api_url.startswith("https:"):
        warn_of_tls_keys(section, "has no effect: the API server's URL is not https")
        return None
    pod_ca = f"{SERVICE_ACCOUNT}/ca.crt"
    options = tls_options(section, always=True)._replace(looks=())
    if not options.ca_file and os.access(pod_ca, os.R_OK):
        options = options._replace(ca_file=pod_ca)
    return options
