"""Everything over TLS, with certificates on both sides: target, agent, receiver. What was scraped is read back."""

from __future__ import annotations

import re
import subprocess
import sys
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.agents import HOSTNAME
from tests.e2e.hub_scene import HubProcess
from tests.pki import Pki, make_pki, terminator
from tests.real.prometheus import running_prometheus
from tests.real.test_receivers import Receiver, expected_series
from tests.real.victoria_metrics import running_victoria_metrics, show_everything
from tests.servers import Server, response, serves

if TYPE_CHECKING:
    from collections.abc import Iterator

CAPTURE = "real-1.36.3-nftables-200svc.txt"


@contextmanager
def prometheus(folder: Path, pki: Pki) -> Iterator[Receiver]:
    """Debian's Prometheus with its own TLS; a client without a certificate gets nothing."""
    cert_file, key_file = pki.server_files("127.0.0.1")
    web = folder / "web.yml"
    web.write_text(
        f"tls_server_config:\n  cert_file: {cert_file}\n  key_file: {key_file}\n  client_ca_file: {pki.ca_file}\n"
        "  client_auth_type: RequireAndVerifyClientCert\n"
    )
    tls = pki.client()
    with running_prometheus(folder, f"--web.config.file={web}", tls=tls) as server:
        yield Receiver(server.url, "/api/v1/write", lambda _: None, 0, keeps_nan=True, exact=True, tls=tls)


@contextmanager
def victoria_metrics(folder: Path, pki: Pki) -> Iterator[Receiver]:
    """Debian's VictoriaMetrics with its own TLS, which asks nobody for a certificate (that is in its paid edition)."""
    cert_file, key_file = pki.server_files("127.0.0.1")
    tls = pki.client()
    arguments = ("-tls", f"-tlsCertFile={cert_file}", f"-tlsKeyFile={key_file}")
    with running_victoria_metrics(folder, *arguments, tls=tls) as url:
        show = partial(show_everything, tls=tls)
        yield Receiver(url, "/api/v1/write", show, 60, keeps_nan=False, exact=False, tls=tls)


@contextmanager
def victoria_metrics_behind_tls(folder: Path, pki: Pki) -> Iterator[Receiver]:
    """The same behind a server of the test's that ends TLS and demands a certificate."""
    tls = pki.client()
    with running_victoria_metrics(folder) as url:
        port = int(url.rpartition(":")[2])
        with terminator(port, pki.server("127.0.0.1", client_certs=True)) as front:
            show = partial(show_everything, tls=tls)
            yield Receiver(front.url(""), "/api/v1/write", show, 60, keeps_nan=False, exact=False, tls=tls)


@contextmanager
def our_hub(folder: Path, pki: Pki, path: str) -> Iterator[Receiver]:
    """Ours behind a server of the test's that ends TLS and demands a certificate."""
    context = pki.server("127.0.0.1", client_certs=True)
    with HubProcess(folder) as hub, terminator(hub.port, context) as front:
        yield Receiver(front.url(""), path, lambda _: None, 0, keeps_nan=True, exact=True, tls=pki.client())


STARTERS = [
    pytest.param(prometheus, id="prometheus", marks=pytest.mark.real("prometheus")),
    pytest.param(victoria_metrics, id="victoria-metrics", marks=pytest.mark.real("victoria-metrics")),
    pytest.param(
        victoria_metrics_behind_tls,
        id="victoria-metrics, client certificates",
        marks=pytest.mark.real("victoria-metrics"),
    ),
    pytest.param(partial(our_hub, path="/api/v1/write"), id="hub"),
    pytest.param(partial(our_hub, path="/prometheus/v1/write"), id="hub by Nightingale's path"),
]


@pytest.fixture(scope="module")
def pki(tmp_path_factory: pytest.TempPathFactory) -> Pki:
    return make_pki(tmp_path_factory.mktemp("pki"))


@pytest.fixture(params=STARTERS)
def receiver(request: pytest.FixtureRequest, tmp_path: Path, pki: Pki) -> Iterator[Receiver]:
    """Each receiver in turn, empty at first."""
    with request.param(tmp_path, pki) as running:
        yield running


def configure(folder: Path, target_url: str, write_url: str, tls: str) -> None:
    """An agent of one target and one writer; `tls` is the same table of keys for both."""
    (folder / "input.prometheus").mkdir(parents=True)
    (folder / "config.toml").write_text(
        f'[global]\nhostname = "{HOSTNAME}"\n[[writers]]\nurl = "{write_url}"\n{tls}'
        f'[kpwatch]\nspool_dir = "{folder / "spool"}"\n'
    )
    (folder / "input.prometheus" / "prometheus.toml").write_text(
        f'[[instances]]\nurls = ["{target_url}"]\nurl_label_key = "instance"\nurl_label_value = "tls"\n'
        f'labels = {{ job = "kube-proxy" }}\nuse_tls = true\n{tls}'
    )


def run_once(folder: Path) -> subprocess.CompletedProcess[str]:
    """`kpwatch agent --once` as a process."""
    kpwatch = str(Path(sys.executable).with_name("kpwatch"))
    command = [kpwatch, "agent", "--configs", str(folder), "--once"]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def test_scraped_and_written_over_tls(receiver: Receiver, pki: Pki, shared_dir: Path, tmp_path: Path) -> None:
    """An https target that demands a certificate, a receiver over https, one agent between: every sample is there."""
    body = (shared_dir / "captures" / CAPTURE).read_bytes()
    tls = f'tls_ca = "{pki.ca_file}"\ntls_cert = "{pki.cert_file}"\ntls_key = "{pki.key_file}"\n'
    with Server(serves(lambda _: response(body)), tls=pki.server("127.0.0.1", client_certs=True)) as target:
        configure(tmp_path / "agent", target.url(), receiver.url + receiver.write_path, tls)
        ended = run_once(tmp_path / "agent")
    assert ended.returncode == 0, ended.stderr
    expected = expected_series(body.decode(), "tls")
    if not receiver.keeps_nan:
        expected = {series: value for series, value in expected.items() if value == value}  # noqa: PLR0124 - no NaN
    found = receiver.latest_when("tls", lambda found: found.keys() == expected.keys())
    assert sorted(map(sorted, expected.keys() ^ found.keys())) == []
    assert [series for series, value in expected.items() if receiver.differs(found[series], value)] == []


WITHOUT = [
    # what the agent has, what it says of the target
    ("no certificate", 'tls_ca = "{pki.ca_file}"\n', "certificate required|handshake failure|alert"),
    ("no CA", 'tls_cert = "{pki.cert_file}"\ntls_key = "{pki.key_file}"\n', "certificate"),
    ("another name", 'tls_ca = "{pki.ca_file}"\ntls_server_name = "other"\n', "other"),
]


@pytest.mark.parametrize(("what", "tls", "words"), WITHOUT, ids=[row[0] for row in WITHOUT])
def test_without_the_right_certificates_nothing_is_asked(
    what: str, tls: str, words: str, pki: Pki, tmp_path: Path
) -> None:
    """Exit 1 and the reason; the target never sees a request, nor the receiver a sample."""
    context = pki.server("127.0.0.1", client_certs=True)
    with (
        Server(serves(lambda _: response(b"m 1\n")), tls=context) as target,
        Server(serves(lambda _: response(status=204)), tls=context) as receiver,
    ):
        configure(tmp_path / "agent", target.url(), receiver.url("/api/v1/write"), tls.format(pki=pki))
        ended = run_once(tmp_path / "agent")
        assert (ended.returncode, target.requests, receiver.requests) == (1, [], []), what
    about_target = [line for line in ended.stderr.splitlines() if str(target.port) in line]
    assert any(re.search(words, line, re.IGNORECASE) for line in about_target), ended.stderr
