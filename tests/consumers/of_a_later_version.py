"""A cluster consumer of a later version: it also reads the second version of `facestream.neighbours.found`.

Usage: python -m tests.consumers.of_a_later_version MEMBER

In all else it is the present one. Its settings are in the environment.
"""

from __future__ import annotations

import signal
import sys
import threading
from datetime import UTC, datetime
from typing import ClassVar

from schemas.neighbours import NeighboursFound
from schemas.topics import NEIGHBOURS


class NeighboursFoundAgain(NeighboursFound):
    """The second version: it says how the neighbours were searched, which a reader may not leave out."""

    type: ClassVar[str] = "facestream.neighbours.found.v2"

    search: str


if __name__ == "__main__":
    object.__setattr__(NEIGHBOURS, "events", (*NEIGHBOURS.events, NeighboursFoundAgain))
    from consumers import cluster
    from settings import Settings

    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    cluster.run(Settings(), sys.argv[1], stop, lambda: datetime.now(UTC))
