"""What a running agent answers about itself."""

from __future__ import annotations

import http.client
import json
import threading
from typing import TYPE_CHECKING, Any

import pytest

from kpwatch.base.errors import ConfigError
from kpwatch.base.server_options import ServerOptions
from kpwatch.exposition.text import parse
from kpwatch.relabel.options import SampleRules
from kpwatch.relabel.rules import RelabelRule
from tests.agents import HOSTNAME, RunningAgent, target, writer
from tests.receivers import OK, Receiver
from tests.servers import WAIT_SECONDS, Peer, Server, refused_port, response, serves

if TYPE_CHECKING:
    from collections.abc import Iterator

ANYWHERE = ServerOptions("127.0.0.1", 0)


def ask(running: RunningAgent, path: str, method: str = "GET") -> http.client.HTTPResponse:
    assert running.agent.endpoint is not None
    connection = http.client.HTTPConnection("127.0.0.1", running.agent.endpoint.port, timeout=WAIT_SECONDS)
    connection.request(method, path)
    response = connection.getresponse()
    response.text = response.read().decode()  # type: ignore[attr-defined]
    connection.close()
    return response


def document(running: RunningAgent, path: str) -> tuple[int, Any]:
    answer = ask(running, path)
    assert answer.getheader("Content-Type") == "application/json"
    return answer.status, json.loads(answer.text)  # type: ignore[attr-defined]


@pytest.fixture
def page() -> Iterator[Server]:
    with Server(serves(lambda _: response(b"a 1\nb 2\n"))) as server:
        yield server


def test_an_agent_that_works(page: Server) -> None:
    """It lives, is ready once every target was scraped, and shows its targets and its counters."""
    with (
        Receiver() as receiver,
        RunningAgent([target(page.url())], [writer(receiver.url(""))], endpoint=ANYWHERE) as running,
    ):
        receiver.wait_for_requests(1)
        assert ask(running, "/healthz").text == "ok\n"
        warning = "what waits is only in memory"
        assert document(running, "/readyz") == (200, {"ready": True, "reasons": [], "warnings": [warning]})
        status, said = document(running, "/targets")
        assert status == 200
        (one,) = said["targets"]
        assert one["url"] == page.url()
        assert one["labels"] == {"agent_hostname": HOSTNAME, "instance": "target"}
        assert (one["up"], one["error"], one["samples"], one["samples_kept"]) == (True, None, 2, 2)
        assert one["last_scrape"] < one["next_scrape"]
        assert 0 < one["duration_seconds"] < WAIT_SECONDS
        metrics = ask(running, "/metrics")
        assert metrics.getheader("Content-Type") == "text/plain; version=0.0.4; charset=utf-8"
        parsed = parse(metrics.text.encode())
        assert parsed.errors == []
        names = {sample.name for sample in parsed.samples}
        assert names >= {"process_cpu_seconds_total", "kpwatch_agent_info", "kpwatch_agent_http_requests_total"}


def test_a_target_that_does_not_answer(page: Server) -> None:
    """Its error stands beside it; the agent is ready all the same. Passwords and queries are not shown."""
    down = target(f"http://me:secret@127.0.0.1:{refused_port()}/m?token=secret", "down")
    with (
        Receiver() as receiver,
        RunningAgent([down, target(page.url())], [writer(receiver.url(""))], endpoint=ANYWHERE) as running,
    ):
        receiver.wait_for_samples(lambda taken: len({one.labels["instance"] for one in taken}) == 2, "both")
        assert document(running, "/readyz")[0] == 200
        answer = ask(running, "/targets").text
        first = json.loads(answer)["targets"][0]
        assert (first["up"], first["samples"]) == (False, 0)
        assert first["error"].startswith("refused: ")
        assert "secret" not in answer + ask(running, "/metrics").text + "".join(running.lines)


def test_not_ready_before_the_first_round() -> None:
    """One target hangs: the agent lives, and says what it waits for."""
    answered = threading.Event()

    def waits(peer: Peer) -> None:
        peer.request()
        answered.wait(WAIT_SECONDS)
        peer.send(response(b"a 1\n"))

    with (
        Server(waits) as slow,
        Receiver() as receiver,
        RunningAgent([target(slow.url())], [writer(receiver.url(""))], endpoint=ANYWHERE) as running,
    ):
        slow.wait_for_requests(1)
        assert ask(running, "/healthz").status == 200
        status, said = document(running, "/readyz")
        assert (status, said["reasons"]) == (503, ["1 of 1 targets were not scraped yet"])
        assert document(running, "/targets")[1]["targets"][0]["last_scrape"] is None
        answered.set()
        receiver.wait_for_requests(1)
        assert document(running, "/readyz")[0] == 200


def test_not_ready_while_a_writer_lags(page: Server) -> None:
    """It names the writer, how far behind it is and what the receiver says; when that takes again, it is ready."""
    down = [response(b"disk full", 503)] * 1000
    options = {"endpoint": ANYWHERE, "ready_max_lag_seconds": 0.05}
    with (
        Receiver(*down) as receiver,
        RunningAgent([target(page.url())], [writer(receiver.url("/w"))], **options) as running,
    ):
        receiver.wait_for_requests(1)
        receiver.wait_for(lambda: " lags " in "".join(document(running, "/readyz")[1]["reasons"]), "a lag")
        status, said = document(running, "/readyz")
        (reason,) = said["reasons"]
        assert status == 503
        assert reason.startswith(f"writer {receiver.url('/w')} lags ")
        assert "samples wait: " in reason
        assert "503" in reason
        receiver._answers = [OK]
        receiver.wait_for(lambda: document(running, "/readyz")[0] == 200, "the end of the lag")


OTHERS = [
    ("GET", "/", 404),
    ("GET", "/metrics/", 404),
    ("POST", "/metrics", 405),
    ("HEAD", "/healthz", 405),
    ("POST", "/api/push/remotewrite", 501),
    ("GET", "/api/push/opentsdb", 501),
]


@pytest.mark.parametrize(("method", "path", "status"), OTHERS)
def test_what_is_not_there(method: str, path: str, status: int) -> None:
    """A sentence says so."""
    with RunningAgent([], [], endpoint=ANYWHERE) as running:
        answer = ask(running, path, method)
        assert answer.status == status
        assert method == "HEAD" or answer.text.endswith("\n")
        assert (answer.getheader("Allow") == "GET") == (status == 405)


def test_an_address_that_is_taken(page: Server) -> None:
    """The agent does not start."""
    with pytest.raises(ConfigError, match=r"cannot listen on 127\.0\.0\.1:"):
        RunningAgent([], [], endpoint=ServerOptions("127.0.0.1", page.port))


def test_targets_show_their_labels_before_and_after_the_rules(page: Server) -> None:
    """Of `up`, which every target has; a rule that leaves it out leaves null."""
    renames = RelabelRule(source_labels=("instance",), target_label="node", replacement="n-$1")
    drops = RelabelRule(source_labels=("__name__",), regex="up", action="drop")
    targets = [
        target(page.url("/a"))._replace(rules=SampleRules(relabel=(renames,))),
        target(page.url("/b"))._replace(rules=SampleRules(relabel=(drops,))),
    ]
    with RunningAgent(targets, [], endpoint=ANYWHERE) as running:
        one, two = document(running, "/targets")[1]["targets"]
        assert one["labels_relabelled"] == one["labels"] | {"node": "n-target"}
        assert two["labels_relabelled"] is None
