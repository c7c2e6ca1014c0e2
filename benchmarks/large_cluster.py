"""One cluster of very many faces through Kafka, with kills: `python -m benchmarks.large_cluster --faces 900000`.

Two halves of the faces are in a cluster each. A bridge, the oldest face, merges them; the cluster is named; the bridge
is withdrawn, and the cluster splits. Each of these changes the assignment of every face. They are measured while the
cluster consumer is killed (SIGKILL) and started again between the transactions, and again undisturbed. A subscriber
reads all records and counts those that repeat an assignment, and the faces whose assignment is missing or wrong in the
end.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import asdict, dataclass, fields
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import numpy as np
from kafka import KafkaProducer
from rich.console import Console
from rich.table import Table

from benchmarks.archive import PUBLISHED_AT, QUALITY
from benchmarks.large_cluster_run import ClusterProcess, Run, Subscriber, Watched
from local.services import services
from schemas.base import Event
from schemas.codec import encode
from schemas.decisions import FaceNamed
from schemas.defaults import EPS, EPS_MAX
from schemas.neighbours import FaceNeighbours, NeighboursFound, neighbours_key
from schemas.topics import NEIGHBOURS, Tombstone, topic_of
from settings import Settings
from stream import clients
from stream.lag import lag_reader
from stream.topics import ensure_topics

_FACES_A_SCAN = 10
_NEIGHBOURS = 16
_BRIDGE = "bridge"
_KILLS = 2


@dataclass(frozen=True)
class Row:
    """One measurement, from publishing a record until the consumer has committed the offset after it.

    restart: the longest time from a start after a kill until the consumer took part again. records: of `assignments`.
    repeated: those of a face that was published already since the record. wrong: faces whose last assignment is not
    the right one. peak_mib: the most memory that the consumer had resident.
    """

    what: str
    faces: int
    kills: int
    seconds: float
    restart: float | None
    records: int
    transactions: int
    repeated: int
    wrong: int
    peak_mib: float


class LargeCluster:
    """The records of the archive, and the assignments that they lead to."""

    def __init__(self, faces: int) -> None:
        """Half of the faces in each of two clusters."""
        self.halves = [[f"{name}{number:07}" for number in range(faces // 2)] for name in "ab"]
        self._analyses = {face: number for number, scan in enumerate(self._scans()) for face in scan}

    def _scans(self) -> Iterator[list[str]]:
        for half in self.halves:
            for start in range(0, len(half), _FACES_A_SCAN):
                yield half[start : start + _FACES_A_SCAN]

    def scans(self) -> Iterator[NeighboursFound]:
        """All scans; each face has neighbours among the earlier ones of its half."""
        chance = np.random.default_rng(0)
        for number, scan in enumerate(self._scans()):
            half = self.halves[0 if scan[0] < self.halves[1][0] else 1]
            places = [int(face[1:]) for face in scan]
            drawn = [chance.integers(0, place, _NEIGHBOURS) if place else () for place in places]
            near = [[half[place] for place in dict.fromkeys(map(int, some))] for some in drawn]
            yield self._found(number, f"scan-{number}", dict(zip(scan, near, strict=True)))

    def bridge(self, again: int) -> NeighboursFound:
        """The scan of the bridge, older than all others, for the first time or again."""
        near = {_BRIDGE: [half[0] for half in self.halves]}
        return self._found(len(self._analyses) + again, _BRIDGE, near, PUBLISHED_AT - timedelta(days=1))

    def merged(self, label: str | None) -> Watched:
        """All in one cluster."""
        return dict.fromkeys((_BRIDGE, *self.halves[0], *self.halves[1]), (_BRIDGE, label))

    def halved(self, label: str | None) -> Watched:
        """In two clusters, of which the first has the name."""
        labels = (label, None)
        return {face: (half[0], name) for half, name in zip(self.halves, labels, strict=True) for face in half}

    def named(self, name: str, number: int) -> FaceNamed:
        """A name for the oldest face of the first half."""
        return FaceNamed(
            decision_id=name,
            author="benchmark",
            decided_at=PUBLISHED_AT + timedelta(minutes=number),
            face_id=self.halves[0][0],
            label_id=name,
            name=name,
        )

    def _found(
        self, analysis: int, scan_id: str, near: dict[str, list[str]], published_at: datetime = PUBLISHED_AT
    ) -> NeighboursFound:
        faces = tuple(
            FaceNeighbours(
                face_id=face,
                score=1.0,
                quality=QUALITY,
                neighbours=tuple(others),
                analyses=tuple(self._analyses[other] for other in others),
                distances=(EPS - 0.1,) * len(others),
            )
            for face, others in near.items()
        )
        return NeighboursFound(
            scan_id=scan_id,
            analysis=analysis,
            shard=0,
            shards=1,
            eps_max=EPS_MAX,
            published_at=published_at,
            faces=faces,
        )


def measure(faces: int, kills: int, folder: Path) -> Iterator[Row]:
    """All of it, on a broker in this folder."""
    archive = LargeCluster(faces)
    bridge_gone = Tombstone(NEIGHBOURS, neighbours_key(_BRIDGE, 0))
    with ExitStack() as stack:
        running = stack.enter_context(services(Settings(data=folder), database=False, command="benchmark"))
        ensure_topics(running.kafka)
        lags = stack.enter_context(lag_reader(running.kafka))
        producer = clients.producer(running.kafka)
        stack.callback(producer.close)
        subscriber = stack.enter_context(Subscriber(running.kafka))
        consumer = stack.enter_context(ClusterProcess(running, folder / "cluster.log"))
        run = Run(consumer, subscriber, lags)

        def row(what: str, messages: Iterator[Event | Tombstone], right: Watched, kills: int = 0) -> Row:
            run.begin()
            _publish(producer, messages)
            run.until_done(kills, len(right))
            return Row(what, len(right), run.kills, *run.figures(right))

        yield row("published for the first time", archive.scans(), archive.halved(None))
        consumer.restart()  # so that there is a snapshot, as one is written every five minutes
        for number, (killed, before, name) in enumerate([(kills, None, "ada"), (0, "ada", "grace")]):
            after = ", killed" if killed else ""
            yield row(f"merged{after}", iter([archive.bridge(number)]), archive.merged(before), killed)
            yield row(f"named{after}", iter([archive.named(name, number)]), archive.merged(name), killed)
            yield row(f"split{after}", iter([bridge_gone]), archive.halved(name), killed)
            if killed:
                run.begin()
                seconds = consumer.restart()
                run.until_done(0, 0)
                yield Row("stopped and started again", faces, 0, seconds, *run.figures(archive.halved(name))[1:])


def _publish(producer: KafkaProducer, messages: Iterator[Event | Tombstone]) -> None:
    for message in messages:
        topic = message.topic if isinstance(message, Tombstone) else topic_of(message)
        record = encode(message, event_id=uuid4().hex, time=datetime.now(UTC), source="facestream/benchmark")
        producer.send(topic.name, value=record.value, key=record.key, headers=list(record.headers))
    producer.flush()


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.large_cluster", description=__doc__.partition("\n")[0])
    parser.add_argument("--faces", type=int, default=900_000, help="faces of the cluster (900,000)")
    parser.add_argument("--kills", type=int, default=_KILLS, help=f"kills in each change ({_KILLS})")
    parser.add_argument("--json", action="store_true", help="print JSON, one row per line")
    arguments = parser.parse_args()
    table = Table(*(field.name.replace("_", " ") for field in fields(Row)))
    progress = Console(stderr=True, style="dim")
    with tempfile.TemporaryDirectory(prefix="facestream-") as folder:
        for row in measure(arguments.faces, arguments.kills, Path(folder)):
            if arguments.json:
                print(json.dumps(asdict(row)), flush=True)
            progress.print(f"{row.what}: {row.seconds:.1f} s")
            table.add_row(*(_cell(value) for value in asdict(row).values()))
    if not arguments.json:
        Console(width=160).print(table)


def _cell(value: object) -> str:
    if isinstance(value, float):
        return f"{value:,.1f}"
    return f"{value:,}" if isinstance(value, int) else str(value or "")


if __name__ == "__main__":
    main()
