"""When a step may do work of its own. Pure: times are given, in seconds of a clock that never goes back."""

from __future__ import annotations

# A steady stream has short pauses, and what comes next should not wait for a piece of other work.
QUIET_S = 0.2

# Where there is always more to read, to wait for an end would be to wait for ever: such work gets this share.
SHARE = 0.05


class SpareTime:
    """Of one loop: once nothing has come for QUIET_S, and SHARE of the time of a steady stream."""

    def __init__(self) -> None:
        """Nothing was read yet, and no work was done."""
        self._read_at = 0.0
        self._due_at = 0.0

    def read(self, now: float) -> None:
        """There was something to read."""
        self._read_at = now

    def has_begun(self, now: float, *, only_at_the_end: bool) -> bool:
        """Whether there is time for such work. only_at_the_end: not where there may be more to read."""
        return now > self._read_at + QUIET_S or (now > self._due_at and not only_at_the_end)

    def worked(self, began: float, ended: float) -> None:
        """A piece of such work took so long."""
        self._due_at = ended + (ended - began) * (1 / SHARE - 1)

    def hurry(self) -> None:
        """The next piece is due at once: somebody waits for it, and it ends by itself."""
        self._due_at = 0.0
