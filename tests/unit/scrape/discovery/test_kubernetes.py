"""An API server is listed once and watched from then on, whatever becomes of its answers."""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING, Any

import pytest
import trustme

from kpwatch.base.telemetry import Registry
from kpwatch.base.tls import TlsOptions
from kpwatch.scrape.discovery.instance import Instance
from kpwatch.scrape.discovery.kubernetes import KubernetesDiscovery
from kpwatch.scrape.discovery.options import KubernetesOptions
from kpwatch.scrape.options import TargetOptions
from tests.kube_api import KubeApi, node, pod
from tests.servers import Server, hangs, refused_port, response, serves
from tests.unit.scrape.discovery.running import Running

if TYPE_CHECKING:
    from pathlib import Path

    from kpwatch.scrape.discovery.target_files import Found

INFO = "kpwatch_kubernetes_node_info"


class Watching(Running):
    """A discovery that does not wait long; `found` are the hosts of its targets."""

    def __init__(self, url: str, **options: Any) -> None:
        super().__init__()
        self.found: list[Found] | None = None
        self.tellings = 0
        self.failures: list[str] = []
        self.registry = Registry()
        asked = KubernetesOptions(
            Instance(TargetOptions("")), url, **{"retry_min_seconds": 0.01, "retry_max_seconds": 0.05} | options
        )
        self.discovery = KubernetesDiscovery(
            asked, self.loop, self.log, self.registry, found=self._found, failed=self.failures.append
        )
        self.discovery.start()

    def _found(self, found: list[Found] | None) -> None:
        self.tellings += 1
        self.found = found if found is not None else self.found

    @property
    def hosts(self) -> list[str]:
        return [url.removeprefix("http://").partition("/")[0] for url, _ in self.found or []]

    @property
    def nodes(self) -> set[str]:
        return {dict(labels)["ident"] for name, labels, _ in self.registry.samples() if name == INFO}

    def counted(self, name: str, **labels: str) -> float:
        return sum(
            value
            for full, pairs, value in self.registry.samples()
            if full == f"kpwatch_agent_kubernetes_{name}_total" and labels.items() <= dict(pairs).items()
        )

    def wait_for(self, *addresses: str) -> None:
        hosts = [address if ":" in address else f"{address}:10249" for address in addresses]
        self.until(lambda: self.found is not None and self.hosts == hosts, f"{hosts}, not {self.hosts}")

    def wait_for_failure(self, words: str) -> None:
        self.until(lambda: any(words in failure for failure in self.failures), f"{words}, not {self.failures[-3:]}")

    def __exit__(self, *_: object) -> None:
        self.discovery.stop()
        super().__exit__()


def test_nodes_come_change_and_go() -> None:
    """Listed in pages, then watched: one list is enough; every node is said to exist, with an address or without."""
    with KubeApi(*(node(f"n{i}", f"10.0.0.{i}") for i in range(5))) as api, Watching(api.url(), page_objects=2) as here:
        here.wait_for(*(f"10.0.0.{i}" for i in range(5)))
        assert len(api.asked("limit=2")) == 3
        here.until(lambda: bool(api.asked("watch=1")), "a request")
        api.put(node("n5"), node("n2", "10.0.1.2"), node("n6", "fd00::6"))
        api.delete("nodes", "n0")
        here.wait_for("10.0.0.1", "10.0.1.2", "10.0.0.3", "10.0.0.4", "[fd00::6]:10249")
        assert here.nodes == {"n1", "n2", "n3", "n4", "n5", "n6"}
        assert len(api.asked("limit=2")) == 3
        assert not here.failures
    assert here.nodes == set()


def test_what_does_not_matter_is_not_told() -> None:
    """Nodes report their state every few minutes: nobody hears of it."""
    with KubeApi(node("a", "10.0.0.1")) as api, Watching(api.url()) as here:
        here.wait_for("10.0.0.1")
        api.put({**node("a", "10.0.0.1"), "status": {**node("a", "10.0.0.1")["status"], "phase": "x"}})
        here.until(lambda: here.counted("events", type="modified") == 1, "the event")
        api.put(node("b", "10.0.0.2"))
        here.wait_for("10.0.0.1", "10.0.0.2")
        assert here.tellings == 2


def test_labels_of_nodes_are_labels_of_targets() -> None:
    """The node's name always, as agent_hostname; a label that changes changes the target."""
    with KubeApi(node("a", "10.0.0.1", zone="z1")) as api, Watching(api.url(), node_labels=(("z", "zone"),)) as here:
        here.wait_for("10.0.0.1")
        assert here.found == [("http://10.0.0.1:10249/metrics", (("z", "z1"), ("agent_hostname", "a")))]
        api.put(node("a", "10.0.0.1", zone="z2"))
        here.until(lambda: "z2" in str(here.found), "the new label")


def test_pods_on_their_nodes() -> None:
    """Running pods are targets and bear their node's name and labels; nodes without one exist all the same."""
    with KubeApi(node("a", "10.0.0.1", zone="z1"), node("b", "10.0.0.2")) as api:
        api.put(pod("p1", "a", "10.0.0.1"), pod("p2", "b", phase="Pending"))
        with Watching(api.url(), role="pod", node_labels=(("z", "zone"),), port=9) as here:
            here.wait_for("10.0.0.1:9")
            assert here.found == [("http://10.0.0.1:9/metrics", (("z", "z1"), ("agent_hostname", "a")))]
            assert here.nodes == {"a", "b"}
            api.put(pod("p2", "b", "10.0.0.2"))
            here.wait_for("10.0.0.1:9", "10.0.0.2:9")
            assert "labelSelector=k8s-app%3Dkube-proxy" in api.asked("/namespaces/kube-system/pods?")[0].target


def test_only_which_nodes_exist() -> None:
    """Without scraping there are no targets, and the nodes are said."""
    with KubeApi(node("a", "10.0.0.1")) as api, Watching(api.url(), scrape=False, role="pod") as here:
        here.until(lambda: here.nodes == {"a"}, "the node")
        here.wait_for()
        assert not api.asked("pods")


def test_shards_share_the_nodes() -> None:
    """Two agents of two have all nodes, none of them twice; each says which of its own exist."""
    names = [f"10.206.0.{number}" for number in range(6)]
    with (
        KubeApi(*(node(name, name) for name in names)) as api,
        Watching(api.url(), shard=0, shards=2) as one,
        Watching(api.url(), shard=1, shards=2) as other,
    ):
        for here in (one, other):
            here.until(lambda here=here: bool(here.found), "targets")
        assert sorted(one.hosts + other.hosts) == [f"{name}:10249" for name in names]
        assert one.nodes | other.nodes == set(names)
        assert not one.nodes & other.nodes


def test_a_watch_goes_on_where_it_ended() -> None:
    """Ended by the server or cut within a line: from the last version, without a new list, and nothing is missed."""
    with KubeApi(node("a", "10.0.0.1")) as api, Watching(api.url()) as here:
        here.wait_for("10.0.0.1")
        here.until(lambda: bool(api.asked("watch=1")), "a request")
        api.end()
        api.put(node("b", "10.0.0.2"))
        here.wait_for("10.0.0.1", "10.0.0.2")
        api.cut()
        api.put(node("c", "10.0.0.3"))
        here.wait_for("10.0.0.1", "10.0.0.2", "10.0.0.3")
        assert len(api.asked("limit=")) == 1


def test_bookmarks_keep_the_version_young() -> None:
    """A watch goes on from a bookmark although everything before it is forgotten."""
    with KubeApi(node("a", "10.0.0.1")) as api, Watching(api.url()) as here:
        here.wait_for("10.0.0.1")
        api.bookmark()
        here.until(lambda: here.counted("events", type="bookmark") == 1, "the bookmark")
        version = api._version
        api.end()
        here.until(lambda: bool(api.asked(f"resourceVersion={version}&")), "a request")
        assert here.counted("relists") == 0


@pytest.mark.parametrize("told_by", ["event", "answer"])
def test_gone(told_by: str) -> None:
    """410, as an event of a watch or as its answer, means a new list, which shows what was missed, also what went."""
    with KubeApi(node("a", "10.0.0.1"), node("b", "10.0.0.2")) as api, Watching(api.url()) as here:
        here.wait_for("10.0.0.1", "10.0.0.2")
        here.until(lambda: bool(api.asked("watch=1")), "a request")
        with api._changed:  # the watch hears nothing of what happens meanwhile
            if told_by == "answer":
                api._cuts += 1
            api._objects["nodes"].pop("a")
            api._objects["nodes"]["c"] = node("c", "10.0.0.3")
            api.forget()
        here.wait_for("10.0.0.2", "10.0.0.3")
        assert here.counted("relists", reason="expired") >= 1


def test_a_list_that_expires_between_its_pages() -> None:
    """It is begun anew; until one is complete nobody is told of a part."""
    with KubeApi(*(node(f"n{i}", f"10.0.0.{i}") for i in range(3))) as api:
        plain, pages = api._list, [0]

        def expiring(peer: Any, resource: str, query: dict[str, str]) -> None:
            pages[0] += 1
            if pages[0] == 2:
                api.forget()
            plain(peer, resource, query)

        api._list = expiring  # type: ignore[method-assign]
        with Watching(api.url(), page_objects=2) as here:
            here.wait_for("10.0.0.0", "10.0.0.1", "10.0.0.2")
            assert "status code 410: too old resource version" in here.failures[0]


def test_an_old_list_is_made_anew() -> None:
    """When its watch ends; so what a watch may have missed does not stay for ever."""
    with KubeApi(node("a", "10.0.0.1")) as api, Watching(api.url(), resync_seconds=0.0) as here:
        here.wait_for("10.0.0.1")
        here.until(lambda: bool(api.asked("watch=1")), "a request")
        api._objects["nodes"]["b"] = node("b", "10.0.0.2")
        api.end()
        here.wait_for("10.0.0.1", "10.0.0.2")
        assert here.counted("relists", reason="resync", resource="nodes") >= 1


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (403, "needs the verbs list and watch on nodes"),
        (401, "the token is not accepted"),
        (429, "refused for a test with 429"),
        (500, "status code 500"),
    ],
)
def test_refusals(status: int, words: str) -> None:
    """What is known stays while the API server refuses; its words are said, and it is asked again."""
    with KubeApi(node("a", "10.0.0.1")) as api, Watching(api.url()) as here:
        here.wait_for("10.0.0.1")
        api.refuse(status)
        api.end()
        here.wait_for_failure(words)
        assert here.hosts == ["10.0.0.1:10249"]
        api.refuse()
        api.put(node("b", "10.0.0.2"))
        here.wait_for("10.0.0.1", "10.0.0.2")


def test_nobody_there_at_first() -> None:
    """Somebody who waits for a first answer is told that there is none; when there is one, it counts."""
    port = refused_port()
    with Watching(f"http://127.0.0.1:{port}") as here:
        here.wait_for_failure("refused")
        assert here.tellings == 1
        with KubeApi(node("a", "10.0.0.1"), port=port):
            here.wait_for("10.0.0.1")


@pytest.mark.parametrize("body", [b"hello", b"{}", b'{"items":[1]}'])
def test_no_api_server(body: bytes) -> None:
    """Whatever else answers is said to be none."""
    with Server(serves(lambda _: response(body))) as server, Watching(server.url("")) as here:
        here.wait_for_failure("answer is no")


def test_a_watch_that_talks_nonsense() -> None:
    """A line that is no event ends the watch; the next one goes on, and is not asked for all the time."""
    items = b'{"kind":"NodeList","metadata":{"resourceVersion":"1"},"items":[]}'
    talk = serves(lambda request: response(b"nonsense\n" if "watch" in request.target else items))
    with Server(talk) as server, Watching(server.url("")) as here:
        here.wait_for_failure("a line of the watch is not JSON")
        here.until(lambda: len(server.requests) >= 4, "more watches")


def test_a_line_without_an_end() -> None:
    """A watch may not fill the memory."""
    items = b'{"kind":"NodeList","metadata":{"resourceVersion":"1"},"items":[]}'
    talk = serves(lambda request: response(b"x" * 5000 if "watch" in request.target else items))
    with Server(talk) as server, Watching(server.url(""), answer_limit_bytes=1000) as here:
        here.wait_for_failure("a line of the watch exceeds 1000 bytes")


def test_more_nodes_than_may_be() -> None:
    """Those above the limit are left out, and it is said how many."""
    with KubeApi(*(node(f"n{i}", f"10.0.0.{i}") for i in range(5))) as api, Watching(api.url(), target_limit=3) as here:
        here.wait_for("10.0.0.0", "10.0.0.1", "10.0.0.2")
        assert "2 more than target_limit = 3" in here.failures[0]


def test_a_token_that_is_replaced(tmp_path: Path) -> None:
    """The file is read for every request: the old token is refused, the new one is good, and nothing is restarted."""
    path = tmp_path / "token"
    path.write_text("old\n")
    with KubeApi(node("a", "10.0.0.1")) as api:
        api.token = "old"
        with Watching(api.url(), token_file=str(path)) as here:
            here.wait_for("10.0.0.1")
            api.token = "new"
            api.end()
            here.wait_for_failure("Unauthorized; the token is not accepted")
            new = tmp_path / "..new"
            new.write_text("new\n")
            new.replace(path)
            api.put(node("b", "10.0.0.2"))
            here.wait_for("10.0.0.1", "10.0.0.2")
            path.unlink()
            api.end()
            here.wait_for_failure("cannot be read")
            assert not any("new" in failure.replace("anew", "") for failure in here.failures)


def test_https_and_a_new_ca(tmp_path: Path) -> None:
    """The CA's file is read again when the certificate is signed by another, as after a rotation."""

    def context(ca: trustme.CA) -> ssl.SSLContext:
        made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        ca.issue_cert("127.0.0.1").configure_cert(made)
        return made

    file, old, new = tmp_path / "ca.crt", trustme.CA(), trustme.CA()
    old.cert_pem.write_to_path(file)
    with KubeApi(node("a", "10.0.0.1"), tls=context(old)) as api:
        here = Watching(api.url(), tls=TlsOptions(ca_file=str(file)))
        here.wait_for("10.0.0.1")
        port = api.server.port
    with here, KubeApi(node("b", "10.0.0.2"), tls=context(new), port=port) as api:
        api.forget()
        here.wait_for_failure("certificate")
        other = tmp_path / "new.crt"
        new.cert_pem.write_to_path(other)
        other.replace(file)
        here.wait_for("10.0.0.2")


def test_stopped_in_the_middle() -> None:
    """Nothing is told any more, whatever was under way."""
    with Server(hangs) as server:
        here = Watching(server.url(""))
        here.until(lambda: bool(server.requests), "the request")
        here.discovery.stop()
        here.loop.close()
        assert here.tellings == 0
