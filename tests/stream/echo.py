"""A consumer for the tests, run as a process so that it can be killed: an analysis without faces for every scan.

Usage: python -m tests.stream.echo BOOTSTRAP_SERVERS MEMBER
"""

from __future__ import annotations

import signal
import sys
import threading
import time
from collections.abc import Sequence
from datetime import UTC, datetime

from schemas.faces import Provenance, ScanAnalysed
from schemas.scans import ScanPublished
from schemas.topics import FACES, SCANS, Tombstone
from settings import Settings
from stream.records import Output, Received, Rejected, RestoredStep
from stream.transform import transform

GROUP = "echo"
_MADE_BY = Provenance(engine="echo", detector="", landmarks="", embedder="", upsample=0, max_size=100)


def echo(batch: Sequence[Received]) -> list[Output]:
    return [_answer(received) for received in batch]


def _answer(received: Received) -> Output:
    scan = received.message
    if isinstance(scan, Tombstone):
        return Tombstone(FACES, scan.key)
    if not isinstance(scan, ScanPublished):
        raise TypeError(f"{scan} is not a scan")
    if scan.collection == "unusable":
        return Rejected(received, "marked as unusable")
    return ScanAnalysed(
        scan_id=scan.scan_id,
        sha256=scan.sha256,
        published_at=scan.published_at,
        width=1,
        height=1,
        provenance=_MADE_BY,
        faces=(),
    )


def _slow_echo(batch: Sequence[Received]) -> list[Output]:
    time.sleep(0.01 * len(batch))
    return echo(batch)


if __name__ == "__main__":
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    transform(
        Settings().kafka,
        GROUP,
        sys.argv[1],
        [SCANS],
        lambda _: RestoredStep(_slow_echo),
        max_records=10,
        stop=stop,
        clock=lambda: datetime.now(UTC),
    )
