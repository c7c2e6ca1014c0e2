"""What a flood, a crowd and a heap of metadata cost: time, the peak memory of each consumer, and its rebalances.

`python -m benchmarks.bounds`: the four consumers on a broker and a database of their own, in a temporary folder. Peaks
are the kernel's (VmHWM, reset before each case; of detect with its worker process). A case ends when all lags are 0.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import numpy as np
import psutil
from PIL import Image
from rich.console import Console
from rich.table import Table

from benchmarks.archive import face, scan_analysed
from calibration.builtin import builtin_reference
from cli.common import now
from cli.supervisor import CONSUMERS, Supervisor
from local.services import services
from schemas.base import Event
from schemas.codec import encode
from schemas.faces import ScanAnalysed
from schemas.scans import ScanPublished
from schemas.topics import topic_of
from settings import KafkaSettings, Settings
from stream import clients
from stream.lag import lag_reader
from stream.stages import STAGES
from stream.topics import ensure_topics
from stream.transform import TAKING_PART

_BEGAN = datetime(2026, 1, 2, tzinfo=UTC)
_A_PERSON = 50
_MEGABYTE = 10**6


@dataclass(frozen=True)
class Case:
    """What is sent at once."""

    name: str
    events: Callable[[], Iterator[Event]]


def scans(prefix: str, count: int, picture: Path, metadata: dict[str, str]) -> Iterator[ScanPublished]:
    """Scans of one picture."""
    sha256 = hashlib.sha256(picture.read_bytes()).hexdigest()
    for number in range(count):
        yield ScanPublished(
            scan_id=f"{prefix}/{number:06}",
            uri=picture.as_uri(),
            sha256=sha256,
            media_type="image/png",
            collection="bounds",
            published_at=_BEGAN + timedelta(seconds=number),
            metadata=metadata,
        )


def analyses(prefix: str, count: int, faces_each: int) -> Iterator[ScanAnalysed]:
    """Analyses with so many faces each, of people who are on many of them, each some 0.3 from others of the person."""
    generator = np.random.default_rng(7)
    real = builtin_reference().banks[0]
    persons = real[: max(1, count * faces_each // _A_PERSON)]
    for number in range(count):
        vectors = persons[generator.integers(len(persons), size=faces_each)]
        vectors = (vectors + generator.normal(size=vectors.shape) * 0.019).astype("<f4")
        faces = tuple(face(f"{prefix}-{number:06}-{place}", vector) for place, vector in enumerate(vectors))
        yield scan_analysed(f"{prefix}/{number:06}", faces, _BEGAN + timedelta(seconds=number))


def cases(picture: Path, scale: float) -> list[Case]:
    """In the order in which they are run; the first is what the others are compared with."""
    flood, faces = round(2000 * scale), round(10_000 * scale)
    notes = {f"note {number}": "x" * (_MEGABYTE - 1) for number in range(10)}
    return [
        Case("10 scans", lambda: scans("few", 10, picture, {})),
        Case(f"{flood:,} scans", lambda: scans("flood", flood, picture, {})),
        Case(f"{faces:,} analyses of a face", lambda: analyses("faces", faces, 1)),
        Case("a scan of 1,000 faces", lambda: analyses("crowd", 1, 1000)),
        Case("20 scans of 1,000 faces", lambda: analyses("crowds", 20, 1000)),
        Case("20 scans with 10 MB of metadata", lambda: scans("metadata", 20, picture, notes)),
    ]


def measured(settings: Settings, supervisor: Supervisor, case: Case) -> dict[str, object]:
    """Send it and wait until it is processed."""
    for processes in _processes(supervisor).values():
        for process in processes:
            Path(f"/proc/{process.pid}/clear_refs").write_text("5")
    began = time.monotonic()
    _send(settings.kafka, case.events())
    with lag_reader(settings.kafka) as reader:
        while any(reader.lags(STAGES).values()):
            supervisor.check()
            time.sleep(0.2)
    peaks = {name: sum(map(_peak_mb, processes)) for name, processes in _processes(supervisor).items()}
    logs = {name: (settings.data / "logs" / f"{name}.log").read_text() for name in CONSUMERS}
    rebalances = sum(max(0, log.count(TAKING_PART) - 1) for log in logs.values())
    return {"case": case.name, "seconds": round(time.monotonic() - began, 1), **peaks, "rebalances": rebalances}


def _send(kafka: KafkaSettings, events: Iterator[Event]) -> None:
    producer = clients.producer(kafka)
    for event in events:
        record = encode(event, event_id=uuid4().hex, time=now())
        producer.send(topic_of(event).name, value=record.value, key=record.key, headers=list(record.headers))
    producer.close()


def _processes(supervisor: Supervisor) -> dict[str, list[psutil.Process]]:
    consumers = {name: psutil.Process(pid) for name, pid in supervisor.processes.items()}
    return {name: [one, *one.children()] for name, one in consumers.items()}


def _peak_mb(process: psutil.Process) -> int:
    for line in Path(f"/proc/{process.pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) // 1000
    return 0


def show(rows: Sequence[dict[str, object]]) -> None:
    """A table for a person."""
    table = Table(*rows[0], title="seconds until all is processed, and peak MB of each consumer")
    for row in rows:
        table.add_row(*map(str, row.values()))
    Console().print(table)


def main() -> None:
    """Run all cases, one after the other, on one archive."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.bounds", description=__doc__)
    parser.add_argument("--scale", type=float, default=1.0, help="of the two floods")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="facestream-bounds-") as temporary:
        folder = Path(temporary)
        # The database runs as a user of its own, who has to enter it.
        folder.chmod(0o755)
        picture = folder / "blank.png"
        Image.new("RGB", (96, 96), "white").save(picture)
        settings = Settings.model_validate(
            {"data": folder / "data", "models": {"upsample": 0, "processes": 1}, "stores": {"roots": [str(folder)]}}
        )
        with services(settings, exclusive=True, command="bounds") as running:
            ensure_topics(running.kafka)
            with Supervisor(running) as supervisor:
                rows = []
                for case in cases(picture, options.scale):
                    rows.append(measured(running, supervisor, case))
                    print(json.dumps(rows[-1]), file=sys.stdout if options.json else sys.stderr, flush=True)
    if not options.json:
        show(rows)


if __name__ == "__main__":
    main()
