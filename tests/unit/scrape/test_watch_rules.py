"""Rules in a running agent: what they leave out is counted scrape by scrape and never sent."""

from __future__ import annotations

from kpwatch.relabel.options import SampleRules
from kpwatch.scrape.about import ABOUT_NAMES
from tests.agents import RunningAgent, target, writer
from tests.receivers import Receiver
from tests.servers import Request, Server, response, serves


class Counting:
    """A page whose every value changes with every scrape."""

    def __init__(self) -> None:
        self.scrapes = 0

    def __call__(self, _: Request) -> bytes:
        self.scrapes += 1
        return response(f"a {self.scrapes}\nb {self.scrapes}\nc_x {self.scrapes}\nc_y {self.scrapes}\n".encode())


def test_what_rules_leave_out() -> None:
    """By rule; everything else arrives with the values it had."""
    rules = SampleRules(ignore_metrics=("b",), metrics_drop=("c_*",), metrics_name_prefix="n_")
    with Server(serves(Counting())) as server, Receiver() as receiver:
        with RunningAgent([target(server.url(), rules=rules)], [writer(receiver.url())]) as agent:
            receiver.wait_for_samples(lambda taken: sum(one.name == "n_a" for one in taken) >= 4, "four scrapes")
        scrapes = agent.counted("scrapes")
        assert agent.counted("samples_dropped", reason="ignore_metrics") == scrapes
        assert agent.counted("samples_dropped", reason="metrics_drop") == 2 * scrapes
        assert agent.counted("samples_dropped") == 3 * scrapes
    assert {one.name for one in receiver.taken} == {"n_a", *(f"n_{name}" for name in ABOUT_NAMES)}
    assert [one.value for one in receiver.taken if one.name == "n_a"] == list(range(1, int(scrapes) + 1))
