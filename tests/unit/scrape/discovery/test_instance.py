"""A URL becomes a target by its instance's pattern."""

from __future__ import annotations

import pytest

from kpwatch.base.errors import ConfigError
from kpwatch.base.tls import TlsOptions
from kpwatch.base.urls import take_apart
from kpwatch.scrape.discovery.instance import Instance, compiled, health_url, url_fields
from kpwatch.scrape.options import TargetOptions

SHARED = TargetOptions("", interval_seconds=7.0)

HEALTH = [
    ("http://localhost:10249/metrics", "http://localhost:10256"),
    ("https://10.0.0.1:10249/metrics", "http://10.0.0.1:10256"),
    ("http://[::1]:10249/metrics", "http://[::1]:10256"),
    ("http://localhost:9100/metrics", ""),
    ("http://localhost:10249/other", ""),
    ("http://localhost:10249/metrics?x=1", ""),
]

TEMPLATES = [
    ("{{.Host}}", "Node-A:10249"),
    ("{{ .Hostname }}-{{.Port}}", "Node-A-10249"),
    ("{{.Scheme}}{{- .Path -}}", "https/m x"),
    ("{{.Query}}#{{.Fragment}}", "q=1#f"),
    ("{{.Nothing}}", "<no value>"),
    ('{{if eq .Port "10249"}}kube-proxy{{else}}other{{end}}', "kube-proxy"),
    ("plain || =", "plain || ="),
]


@pytest.mark.parametrize(("text", "base"), HEALTH)
def test_the_health_port_is_known_only_beside_10249(text: str, base: str) -> None:
    """Exactly http(s)://HOST:10249/metrics."""
    assert health_url(take_apart(text)) == base


@pytest.mark.parametrize(("template", "text"), TEMPLATES)
def test_templates(template: str, text: str) -> None:
    """Fields of the URL, as Go's text/template prints them."""
    assert compiled(template).render(url_fields(take_apart("https://Node-A:10249/m%20x?q=1#f"))) == text


LABELS = [
    # instance, labels of the finder, the labels that come out
    (Instance(SHARED), (), (("instance", "http://a:1/metrics"),)),
    (Instance(SHARED, url_label_key="-"), (), ()),
    (Instance(SHARED, url_label_key="url", url_label_value="{{.Host}}"), (), (("url", "a:1"),)),
    (Instance(SHARED, url_label_pair=(("p", "{{.Port}}"), ("b", " "))), (),
     (("instance", "http://a:1/metrics"), ("p", "1"))),
    (Instance(SHARED), (("rack", "r"), ("instance", "mine")), (("instance", "mine"), ("rack", "r"))),
]  # fmt: skip


@pytest.mark.parametrize(("instance", "found", "labels"), LABELS)
def test_labels(instance: Instance, found: tuple[tuple[str, str], ...], labels: tuple[tuple[str, str], ...]) -> None:
    """The URL's by the instance's templates; those of whoever found the URL win."""
    assert instance.target("http://a:1", found).url_labels == labels


def test_what_is_shared_stays() -> None:
    """All settings of the instance; TLS only for https; a password of the URL where the instance has none."""
    tls = TlsOptions(ca_file="/ca")
    instance = Instance(SHARED, tls=tls, health="http://other:1")
    target = instance.target("http://me:secret@a:10249/metrics")
    assert (target.interval_seconds, target.url, target.tls) == (7.0, "http://a:10249/metrics", None)
    assert (target.username, target.password, target.health_url) == ("me", "secret", "http://other:1")
    assert instance.target("https://a/").tls == tls
    own = Instance(TargetOptions("", username="u", password="p"), health="off").target(
        "http://me:secret@a:10249/metrics"
    )
    assert (own.username, own.password, own.health_url) == ("u", "p", "")


@pytest.mark.parametrize(
    ("instance", "url"), [(Instance(SHARED), "a:1"), (Instance(SHARED, url_label_value="{{len 5}}"), "http://a")]
)
def test_what_makes_no_target(instance: Instance, url: str) -> None:
    """Is an error."""
    with pytest.raises(ConfigError):
        instance.target(url)
