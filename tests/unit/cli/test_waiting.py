"""Verbs that run until they are told end by an event, and put the signals back."""

from __future__ import annotations

import signal
import threading

import pytest

from kpwatch.cli.waiting import until_told_to_end

SIGNALS = (signal.SIGINT, signal.SIGTERM)


@pytest.mark.parametrize("number", SIGNALS)
def test_a_signal_sets_the_event(number: signal.Signals):
    with until_told_to_end() as told:
        assert not told.is_set()
        signal.raise_signal(number)
        assert told.is_set()


def test_who_waits_is_woken_by_a_signal_that_any_thread_takes():
    """Also by one that CPython notes and cannot handle yet, because the main thread is about to wait."""
    with until_told_to_end() as told:
        threading.Thread(target=signal.pthread_kill, args=(threading.get_ident(), signal.SIGTERM)).start()
        assert told.wait()
    with until_told_to_end() as told:
        threading.Thread(target=lambda: signal.pthread_kill(threading.get_ident(), signal.SIGTERM)).start()
        assert told.wait()
    with until_told_to_end() as told:
        threading.Thread(target=told.set).start()
        assert told.wait()
        assert told.wait(0)


def test_signals_act_as_before_afterwards_and_from_the_second_on():
    before = [signal.getsignal(number) for number in SIGNALS]
    with until_told_to_end():
        assert [signal.getsignal(number) for number in SIGNALS] != before
        signal.raise_signal(signal.SIGTERM)
        assert [signal.getsignal(number) for number in SIGNALS] == before
    assert [signal.getsignal(number) for number in SIGNALS] == before
