"""Moments in time."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime

NOON = datetime(2026, 1, 2, 12, tzinfo=UTC)


def now() -> datetime:
    """The clock that consumers are given."""
    return datetime.now(UTC)


def wait_until(
    condition: Callable[[], object], problem: str | Callable[[], str], within_s: float = 60, every_s: float = 0.1
) -> None:
    """Ask again and again until the condition is true; a TimeoutError says what the problem is."""
    deadline = time.monotonic() + within_s
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(problem if isinstance(problem, str) else problem())
        time.sleep(every_s)
