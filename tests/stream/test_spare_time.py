"""When a step may do work of its own: after a pause, and for a share of a steady stream."""

from __future__ import annotations

from stream.spare_time import QUIET_S, SHARE, SpareTime

STEP_S = 0.01


def test_there_is_time_after_a_pause_but_not_in_a_short_one() -> None:
    spare = SpareTime()
    spare.read(100.0)
    spare.worked(100.0, 200.0)
    spare.read(300.0)
    assert not spare.has_begun(300.0 + QUIET_S / 2, only_at_the_end=False)
    assert spare.has_begun(300.0 + QUIET_S * 2, only_at_the_end=False)


def test_in_a_steady_stream_such_work_has_its_share() -> None:
    spare, now, worked = SpareTime(), 100.0, 0.0
    while now < 200.0:
        spare.read(now)
        if spare.has_begun(now, only_at_the_end=False):
            spare.worked(now, now + 0.1)
            now, worked = now + 0.1, worked + 0.1
        now += STEP_S
    assert 0.8 * SHARE < worked / 100.0 <= 1.1 * SHARE


def test_work_for_the_end_waits_until_nothing_comes() -> None:
    spare = SpareTime()
    spare.read(100.0)
    assert not spare.has_begun(100.0 + QUIET_S / 2, only_at_the_end=True)
    assert spare.has_begun(100.0 + QUIET_S * 2, only_at_the_end=True)


def test_work_that_somebody_waits_for_is_due_at_once() -> None:
    spare = SpareTime()
    spare.worked(100.0, 200.0)
    spare.read(201.0)
    assert not spare.has_begun(201.0, only_at_the_end=False)
    spare.hurry()
    assert spare.has_begun(201.0, only_at_the_end=False)
