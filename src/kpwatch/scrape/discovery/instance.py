"""One `[[instances]]` table as a pattern: a URL goes in, a target comes out, whoever found the URL. Pure."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

from kpwatch.base.named import NamedTuple
from kpwatch.base.urls import UrlParts, percent_decoded, take_apart
from kpwatch.relabel.gotemplate import Template
from kpwatch.relabel.govalues import Fields

if TYPE_CHECKING:
    from kpwatch.base.tls import TlsOptions
    from kpwatch.scrape.options import Pairs, TargetOptions

METRICS_PATH = "/metrics"
NO_LABEL = "-"
HEALTH_OFF = "off"

KUBE_PROXY_METRICS_PORT = 10249
KUBE_PROXY_HEALTH_PORT = 10256


class Instance(NamedTuple):
    """What all targets of an instance share, and how a URL becomes labels."""

    shared: TargetOptions
    """With `url` still empty."""
    url_label_key: str = "instance"
    """"-": the URL becomes no label."""
    url_label_value: str = ""
    """A template over the URL's parts; "" is the whole URL."""
    url_label_pair: Pairs = ()
    """More labels by such templates; one that is blank gives none."""
    tls: TlsOptions | None = None
    """For https URLs."""
    health: str = ""
    """"": beside kube-proxy's metrics port; "off"; or the base URL of the health port."""

    def target(self, text: str, labels: Pairs = ()) -> TargetOptions:
        """The target of a URL; `labels` of whoever found it overwrite those of the URL.

        Raises ConfigError where the URL is none or a template cannot be rendered.
        """
        url = take_apart(text, default_path=METRICS_PATH)
        return self.shared._replace(
            url=url.request,
            url_labels=tuple({**self._url_labels(url), **dict(labels)}.items()),
            username=self.shared.username or url.username,
            password=self.shared.password if self.shared.username else url.password,
            tls=self.tls if url.scheme == "https" else None,
            health_url=self._health_url(url),
        )

    def _url_labels(self, url: UrlParts) -> dict[str, str]:
        parts = url_fields(url)
        labels = {}
        if self.url_label_key != NO_LABEL:
            value = self.url_label_value
            labels[self.url_label_key] = compiled(value).render(parts) if value else url.label
        for name, template in self.url_label_pair:
            if template.strip(" "):
                labels[name] = compiled(template).render(parts)
        return labels

    def _health_url(self, url: UrlParts) -> str:
        if self.health == HEALTH_OFF:
            return ""
        return self.health or health_url(url)


@lru_cache(maxsize=256)
def compiled(template: str) -> Template:
    """The template, checked; raises ConfigError."""
    return Template(template)


def url_fields(url: UrlParts) -> Fields:
    """What a template may say of a URL (inputs/prometheus of Categraf)."""
    return Fields(
        Scheme=url.scheme,
        Host=url.host,
        Hostname=url.hostname,
        Port=url.port,
        Path=percent_decoded(url.path),
        Query=url.query,
        Fragment=url.fragment,
    )


def health_url(url: UrlParts) -> str:
    """Base URL of the health port of the kube-proxy whose metrics these are, or "" where that cannot be known.

    Known only for `http(s)://HOST:10249/metrics`; the health port speaks plain HTTP whatever the metrics port speaks.
    """
    if url.port != str(KUBE_PROXY_METRICS_PORT) or url.path != METRICS_PATH or url.query:
        return ""
    host = url.host.removesuffix(f":{KUBE_PROXY_METRICS_PORT}")
    return f"http://{host}:{KUBE_PROXY_HEALTH_PORT}"
