"""Signals that come several at once, as those of a killed parent's threads do."""

from __future__ import annotations

import signal
import threading

import pytest

from cli.signals import set_by_handler


@pytest.mark.timeout(60)
def test_a_signal_in_the_middle_of_a_call_of_the_event_sets_it_and_does_not_wait_for_itself() -> None:
    stop = threading.Event()
    earlier = signal.signal(signal.SIGUSR1, lambda *_: set_by_handler(stop))
    try:
        with stop._cond:  # type: ignore[attr-defined]
            signal.raise_signal(signal.SIGUSR1)
            signal.raise_signal(signal.SIGUSR1)
        assert stop.wait(10)
    finally:
        signal.signal(signal.SIGUSR1, earlier)
