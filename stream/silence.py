"""How long a reader waits for a broker that sends nothing: a topic that was recreated meanwhile has no such records."""

from __future__ import annotations

import time

from kafka.errors import KafkaTimeoutError

LONGEST_SILENCE_S = 30.0


class Silence:
    """Begins with the reader, and again with whatever it hears."""

    def __init__(self) -> None:
        """Nothing is heard yet."""
        self._since = time.monotonic()

    def look(self, heard: bool) -> None:
        """Whether the last poll has heard anything. Raises KafkaTimeoutError after half a minute without."""
        now = time.monotonic()
        if heard:
            self._since = now
        check_silence(now - self._since)


def check_silence(seconds: float) -> None:
    """Raise KafkaTimeoutError where nothing was heard for too long."""
    if seconds > LONGEST_SILENCE_S:
        raise KafkaTimeoutError(f"no records for {LONGEST_SILENCE_S:.0f} seconds")
