"""Writers that come and go between two processes: each has its own place in the spool, and what is let go is said."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.fault.spool_scene import AgentProcess, Counter, Setting, latest, numbers
from tests.receivers import Receiver
from tests.servers import refused_port

if TYPE_CHECKING:
    from pathlib import Path

WAY = "/api/v1/write"


def test_a_writer_added_and_a_writer_removed(tmp_path: Path) -> None:
    """The new one begins with what is scraped then, the old one misses nothing; one taken out has no claim on the past.

    Three processes, killed one after the other while nobody listens at the first writer's URL.
    """
    counter = Counter()
    port = refused_port()
    first_url = f"http://127.0.0.1:{port}{WAY}"
    with counter.server() as server, Receiver() as second:
        setting = Setting(tmp_path, server.url(), [first_url], tmp_path / "spool")
        with AgentProcess(setting) as agent:
            server.wait_for_requests(6)
            agent.kill()
        at_addition = counter.count

        setting.writers = [first_url, second.url(WAY)]
        with AgentProcess(setting) as agent:
            second.wait_for_samples(lambda taken: len(numbers(taken)) >= 6, "the added writer's scrapes")
            agent.kill()
        got = numbers(second.taken)
        assert got == list(range(got[0], got[0] + len(got)))
        assert got[0] > at_addition, "the added writer got what was scraped before it was added"

        with Receiver(port=port) as first:
            with AgentProcess(setting) as agent:
                first.wait_for_samples(lambda taken: latest(taken) > max(got), "the whole backlog")
                agent.stop()
            backlog = numbers(first.taken)
            missing = set(range(1, max(backlog) + 1)) - set(backlog)
            assert missing <= {at_addition, max(got) + 1, max(got) + 2}, "more is missing than what kills interrupted"

        lost_in_between = counter.count
        with AgentProcess(setting) as agent:  # its receiver is down again
            second.wait_for_samples(lambda taken: latest(taken) >= lost_in_between + 4, "scrapes")
            agent.kill()
        setting.writers = [second.url(WAY)]
        with AgentProcess(setting) as agent:
            now = counter.count
            second.wait_for_samples(lambda taken: latest(taken) > now, "a scrape")
            said = agent.stop()
        assert f"samples waited for http://127.0.0.1:{port}{WAY}, which is no writer any more" in said

        setting.writers = [first_url, second.url(WAY)]
        removed_until = counter.count
        with Receiver(port=port) as first, AgentProcess(setting) as agent:
            first.wait_for_samples(lambda taken: len(numbers(taken)) >= 3, "the writer that came back")
            agent.stop()
            assert min(numbers(first.taken)) > removed_until, "what was let go came back"
