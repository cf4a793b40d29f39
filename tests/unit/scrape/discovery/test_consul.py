"""Consul is asked over HTTP; targets are those of the latest complete answer."""

from __future__ import annotations

import json
import threading
from typing import TYPE_CHECKING, Any

from kpwatch.scrape.discovery.consul import ConsulDiscovery
from kpwatch.scrape.discovery.instance import Instance
from kpwatch.scrape.discovery.options import ConsulOptions, ConsulQuery
from kpwatch.scrape.options import TargetOptions
from tests.servers import WAIT_SECONDS, Request, Server, refused_port, response, serves
from tests.unit.scrape.discovery.running import Running

if TYPE_CHECKING:
    from kpwatch.scrape.discovery.target_files import Found

URL = "http://{{.Address}}:{{.ServicePort}}/metrics"
ONE = (ConsulQuery("one", url=URL),)


class Asking(Running):
    """A discovery that asks all the time."""

    def __init__(self, agent_url: str, queries: tuple[ConsulQuery, ...] = ONE, **options: Any) -> None:
        super().__init__()
        self.answers: list[list[str] | None] = []
        self.failures: list[str] = []
        asked = ConsulOptions(Instance(TargetOptions("")), agent_url, queries, query_seconds=0.005, **options)
        self.discovery = ConsulDiscovery(asked, self.loop, found=self._found, failed=self.failures.append)
        self.discovery.start()

    def _found(self, found: list[Found] | None) -> None:
        self.answers.append(None if found is None else [url for url, _ in found])

    def wait_for(self, answer: list[str] | None) -> None:
        self.until(lambda: self.answers[-1:] == [answer], f"{answer}, not {self.answers[-1:]}")

    def __exit__(self, *_: object) -> None:
        self.discovery.stop()
        super().__exit__()


def entry(address: str, port: int = 10249) -> dict[str, Any]:
    return {"Address": address, "ServicePort": port, "ServiceID": f"id-{address}"}


class Catalog:
    """A Consul of a few services; `answer` replaces everything."""

    def __init__(self, **services: list[dict[str, Any]]) -> None:
        self.services = services
        self.answer = b""

    def __call__(self, request: Request) -> bytes:
        if self.answer:
            return self.answer
        name = request.target.partition("?")[0].rpartition("/")[2]
        return response(json.dumps(self.services.get(name, [])).encode(), Content_Type="application/json")


def test_services_appear_and_go() -> None:
    """Every round tells all there is, of all queries, on one connection."""
    catalog = Catalog(one=[entry("a"), entry("b")], two=[entry("c")])
    queries = (*ONE, ConsulQuery("two", tag="t", datacenter="dc1", url=URL))
    with Server(serves(catalog)) as server, Asking(server.url(""), queries, token="hush") as asking:
        asking.wait_for(["http://a:10249/metrics", "http://b:10249/metrics", "http://c:10249/metrics"])
        catalog.services = {"two": [entry("d")]}
        asking.wait_for(["http://d:10249/metrics"])
        catalog.services = {}
        asking.wait_for([])
        assert [request.target for request in server.requests[:2]] == [
            "/v1/catalog/service/one",
            "/v1/catalog/service/two?dc=dc1&tag=t",
        ]
        assert server.requests[0].headers["x-consul-token"] == "hush"
        assert server.connections == 1
        assert asking.failures == []


def test_a_consul_that_does_not_answer() -> None:
    """Nothing is known then: whoever scrapes goes on; later it is asked again."""
    catalog = Catalog(one=[entry("a")])
    with Server(serves(catalog)) as server, Asking(server.url("/")) as asking:
        asking.wait_for(["http://a:10249/metrics"])
        for answer, words in (
            (response(b"no leader", 500), "status code: 500"),
            (response(b"<html>"), "the answer is not JSON"),
            (response(b"{}"), "the answer is no list of services"),
            (b"nonsense\r\n\r\n", "bad_http"),
        ):
            catalog.answer = answer
            asking.wait_for(None)
            assert words in asking.failures[-1]
            assert asking.failures[-1].startswith(f"consul http://127.0.0.1:{server.port}/, service one: ")
            assert asking.failures[-1].endswith("targets stay as they are")
            catalog.answer = b""
            asking.wait_for(["http://a:10249/metrics"])


def test_nobody_listens() -> None:
    """Said with the reason, and without the password of the URL."""
    with Asking(f"http://me:secret@127.0.0.1:{refused_port()}") as asking:
        asking.wait_for(None)
    assert "refused" in asking.failures[0]
    assert "secret" not in asking.failures[0]


def test_one_bad_entry_costs_only_itself() -> None:
    """It is named."""
    catalog = Catalog(one=[entry("a") | {"ServiceMeta": {"n": "1"}}, entry("b")])
    queries = (ConsulQuery("one", url="http://{{.Address}}/{{if .ServiceMeta.n}}{{.Nothing}}{{end}}"),)
    with Server(serves(catalog)) as server, Asking(server.url(""), queries) as asking:
        asking.wait_for(["http://b/"])
    assert asking.failures[0].startswith("consul service one, entry id-a: template ")


def test_a_slow_consul_is_asked_once_at_a_time() -> None:
    """Rounds that are due meanwhile are left out."""
    passed = threading.Event()

    def slow(request: Request) -> bytes:
        assert passed.wait(WAIT_SECONDS)
        return Catalog(one=[entry("a")])(request)

    with Server(serves(slow)) as server, Asking(server.url("")) as asking:
        asking.loop.call_later(0.1, passed.set)
        asking.wait_for(["http://a:10249/metrics"])
        assert asking.failures == []
