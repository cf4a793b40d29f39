"""The agent's own metrics arrive like everything else."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kpwatch.model.numbers import STALE_NAN_BYTES
from tests.agents import HOSTNAME, RunningAgent, writer
from tests.receivers import Receiver

if TYPE_CHECKING:
    from tests.receivers import Taken


def is_marker(one: Taken) -> bool:
    return one.bits == STALE_NAN_BYTES


def test_they_are_written_every_interval() -> None:
    """Under names of ours, with the agent's own labels."""
    with (
        Receiver() as receiver,
        RunningAgent(
            [], [writer(receiver.url("/w"))], self_metrics_seconds=0.05, global_labels=(("zone", "a"),)
        ) as running,
    ):
        receiver.wait_for_samples(lambda taken: len({one.timestamp_ms for one in taken}) >= 3, "three times")
        assert running.agent.status is not None
    assert all(one.name.startswith("kpwatch_agent_") for one in receiver.taken)
    assert not any(is_marker(one) for one in receiver.taken)
    names = {one.name for one in receiver.taken}
    assert names >= {
        "kpwatch_agent_info",
        "kpwatch_agent_process_resident_memory_bytes",
        "kpwatch_agent_writer_lag_seconds",
        "kpwatch_agent_spool_bytes",
        "kpwatch_agent_ready",
    }
    shared = {"ident": HOSTNAME, "job": "kpwatch-agent", "zone": "a"}
    assert all(shared.items() <= one.labels.items() for one in receiver.taken)


def test_they_change_and_end() -> None:
    """Another label: the old series end. Switched off: all end. Switched on: they come again."""
    with (
        Receiver() as receiver,
        RunningAgent([], [writer(receiver.url("/w"))], self_metrics_seconds=0.05) as running,
    ):
        agent = running.agent
        receiver.wait_for_samples(bool, "the first")
        agent.loop.call_from_thread(lambda: agent.adopt(agent.options._replace(global_labels=(("zone", "b"),))))
        receiver.wait_for_samples(lambda taken: any("zone" in one.labels for one in taken), "another label")
        ended = {one.name for one in receiver.taken if is_marker(one)}
        assert ended >= {"kpwatch_agent_info", "kpwatch_agent_ready"}
        assert not any("zone" in one.labels for one in receiver.taken if is_marker(one))
        agent.loop.call_from_thread(lambda: agent.adopt(agent.options._replace(self_metrics_seconds=0.0)))
        receiver.wait_for_samples(lambda taken: any(is_marker(one) and "zone" in one.labels for one in taken), "an end")
        count = len(receiver.taken)
        agent.loop.call_from_thread(lambda: agent.adopt(agent.options._replace(self_metrics_seconds=0.05)))
        receiver.wait_for_samples(lambda taken: len(taken) > count, "another beginning")


def test_they_end_with_the_agent_where_asked_for() -> None:
    """`stale_at_shutdown`."""
    with (
        Receiver() as receiver,
        RunningAgent([], [writer(receiver.url("/w"))], self_metrics_seconds=0.05, stale_at_shutdown=True),
    ):
        receiver.wait_for_samples(bool, "the first")
    assert {one.name for one in receiver.taken if is_marker(one)} == {one.name for one in receiver.taken}
