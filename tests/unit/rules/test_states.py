"""What becomes of alerts, by a given clock."""

from __future__ import annotations

import pytest

from kpwatch.rules.states import RESOLVED_SECONDS, Alert, AlertStates, Holds, Result, Tolerance, TooManyAlerts, restored

A = Result((("alertname", "X"), ("i", "a")), (), 1.0)
B = Result((("alertname", "X"), ("i", "b")), (), 2.0)


def walk(holds: Holds, *steps: tuple[float, tuple[Result, ...]]) -> list[str]:
    """The state of A after each step; "" where there is none."""
    states = AlertStates()
    seen = []
    for now, results in steps:
        states.update(now, results, holds)
        seen.append(next((alert.state for alert in states if alert.labels == A.labels), ""))
    return seen


@pytest.mark.parametrize(
    ("holds", "steps", "states"),
    [
        (Holds(), [(0, (A,))], ["firing"]),
        (Holds(60), [(0, (A,)), (59, (A,)), (60, (A,)), (90, ())], ["pending", "pending", "firing", "inactive"]),
        (Holds(60), [(0, (A,)), (30, ()), (60, (A,)), (119, (A,)), (120, (A,))],
         ["pending", "", "pending", "pending", "firing"]),
        (Holds(0, 60), [(0, (A,)), (30, ()), (89, ()), (90, ())], ["firing", "firing", "firing", "inactive"]),
        (Holds(0, 60), [(0, (A,)), (30, ()), (80, (A,)), (90, ()), (149, ()), (150, ())],
         ["firing", "firing", "firing", "firing", "firing", "inactive"]),
        (Holds(60, 60), [(0, (A,)), (30, ())], ["pending", ""]),
        (Holds(), [(0, (A,)), (10, ()), (10 + RESOLVED_SECONDS, ()), (11 + RESOLVED_SECONDS, ())],
         ["firing", "inactive", "inactive", ""]),
        (Holds(60), [(0, (A,)), (60, (A,)), (70, ()), (80, (A,)), (139, (A,)), (140, (A,))],
         ["pending", "firing", "inactive", "pending", "pending", "firing"]),
    ],
)  # fmt: skip
def test_states_follow_results(holds: Holds, steps: list[tuple[float, tuple[Result, ...]]], states: list[str]) -> None:
    """As Prometheus' do."""
    shifted = [(now + 1000, results) for now, results in steps]
    assert walk(holds, *shifted) == states


def test_what_changed_is_told_once() -> None:
    """An alert that began to fire or was resolved by an evaluation, with its times."""
    states = AlertStates()
    assert states.update(100, [A], Holds(10)) == []
    (fired,) = states.update(110, [A, B], Holds(10))
    assert (fired.labels, fired.state, fired.active_at, fired.fired_at) == (A.labels, "firing", 100, 110)
    assert states.update(115, [A, B], Holds(10)) == []
    (resolved,) = states.update(119, [B], Holds(10))
    assert (resolved.state, resolved.resolved_at) == ("inactive", 119)


def test_values_and_annotations_are_those_of_the_last_result() -> None:
    """The time it became active stays."""
    states = AlertStates()
    states.update(100, [A], Holds())
    states.update(110, [A._replace(value=7.0, annotations=(("s", "new"),))], Holds())
    (alert,) = states
    assert (alert.value, alert.annotations, alert.active_at) == (7.0, (("s", "new"),), 100)


def test_series_of_alerts() -> None:
    """ALERTS is 1 with the state, ALERTS_FOR_STATE is since when; resolved ones have none."""
    states = AlertStates()
    states.update(100.7, [A], Holds(60))
    assert states.samples() == [
        ((("__name__", "ALERTS"), ("alertname", "X"), ("alertstate", "pending"), ("i", "a")), 1.0),
        ((("__name__", "ALERTS_FOR_STATE"), ("alertname", "X"), ("i", "a")), 100.0),
    ]
    states.update(200, [], Holds(60))
    assert states.samples() == []


def test_more_alerts_than_the_limit_are_an_error_and_forgotten() -> None:
    """0 is no limit; resolved ones do not count."""
    states = AlertStates()
    with pytest.raises(TooManyAlerts, match="exceeded limit of 1 with 2 alerts"):
        states.update(100, [A, B], Holds(), 1)
    assert list(states) == []
    states.update(100, [A], Holds(), 1)
    states.update(101, [B], Holds(), 1)
    assert len(list(states)) == 2


def test_when_an_alert_is_sent() -> None:
    """When it fires, again after the resend delay, when it is resolved, and so for 15 minutes."""
    states = AlertStates()

    def sent(now: float, *results: Result) -> list[str]:
        states.update(now, results, Holds(10))
        return [alert.state for alert in states.to_send(now, 60)]

    assert sent(1000, A) == []
    assert sent(1010, A) == ["firing"]
    assert sent(1070, A) == []
    assert sent(1071, A) == ["firing"]
    assert sent(1072) == ["inactive"]
    assert sent(1130) == []
    assert sent(1133) == ["inactive"]
    assert sent(1072 + RESOLVED_SECONDS) == ["inactive"]
    assert sent(1073 + RESOLVED_SECONDS) == []


TOLERANCE = Tolerance(outage_seconds=3600, grace_seconds=600, settle_seconds=120)


def pending(active_at: float) -> Alert:
    return Alert(A.labels, (), 1.0, active_at)


@pytest.mark.parametrize(
    ("hold", "spent", "down", "fires_after"),
    [
        (1800, 600, 300, 1200),  # the time down does not count
        (1800, 1750, 300, 600),  # not within the grace period
        (1800, 1750, 3500, 600),
        (300, 100, 300, 200),
        (300, 290, 300, 120),  # not before it settles
        (60, 50, 300, 60),
        (60, 0, 0, 60),
    ],
)
def test_a_pending_alert_goes_on_after_a_restart(hold: float, spent: float, down: float, fires_after: float) -> None:
    """It fires so long after the start."""
    now = 100_000.0
    alerts = restored([pending(now - down - spent)], now - down, now, Holds(hold), TOLERANCE)
    states = AlertStates(alerts)
    states.update(now + fires_after - 1, [A], Holds(hold))
    assert [alert.state for alert in states] == ["pending"]
    states.update(now + fires_after, [A], Holds(hold))
    assert [alert.state for alert in states] == ["firing"]


def test_a_firing_alert_goes_on_after_a_restart() -> None:
    """It is not told anew, and not resolved before samples had time to arrive."""
    now = 100_000.0
    fires = Alert(A.labels, (), 1.0, now - 1000, "firing", now - 900, sent_at=now - 70)
    states = AlertStates(restored([fires], now - 60, now, Holds(60), TOLERANCE))
    assert states.update(now + 10, [], Holds(60)) == []
    assert [alert.fired_at for alert in states] == [now - 900]
    assert states.update(now + 20, [A], Holds(60)) == []
    (resolved,) = states.update(now + 30, [], Holds(60))
    assert resolved.state == "inactive"


def test_a_firing_alert_that_is_over_is_resolved_after_a_restart() -> None:
    """Once it has settled."""
    now = 100_000.0
    fires = Alert(A.labels, (), 1.0, now - 1000, "firing", now - 900)
    states = AlertStates(restored([fires], now - 60, now, Holds(60), TOLERANCE))
    assert states.update(now + 119, [], Holds(60)) == []
    (resolved,) = states.update(now + 120, [], Holds(60))
    assert resolved.resolved_at == now + 120


def test_what_is_too_old_begins_anew() -> None:
    """Beyond the outage tolerance nothing is taken up."""
    now = 100_000.0
    assert restored([pending(now - 5000)], now - 3601, now, Holds(60), TOLERANCE) == []
