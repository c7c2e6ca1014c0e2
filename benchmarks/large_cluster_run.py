"""The cluster consumer as a process that is killed, and a subscriber that checks everything that it publishes."""

from __future__ import annotations

import json
import os
import sys
import time
from collections import Counter
from contextlib import AbstractContextManager
from pathlib import Path
from types import TracebackType
from typing import Self

import psutil
from kafka import TopicPartition

from cli.supervisor import as_environment
from local import child
from schemas.topics import ASSIGNMENTS, CLUSTERS
from settings import KafkaSettings, Settings
from stream import clients
from stream.chunks import CHUNK, DELTA
from stream.lag import LagReader
from stream.reading import partitions_of
from stream.stages import CLUSTER, STAGES
from stream.transform import TAKING_PART

Watched = dict[str, tuple[str | None, str | None]]
"""By face id: its cluster, and its hard or soft label."""

_TIMEOUT_S = 1800.0
_ENDS = {"merged", "retired"}


class ClusterProcess(AbstractContextManager["ClusterProcess"]):
    """The cluster consumer as a process of the command."""

    def __init__(self, settings: Settings, log: Path) -> None:
        self._environment = os.environ | as_environment(settings)
        self._log = log
        self.peak_bytes = 0

    def __enter__(self) -> Self:
        """Start it, and wait until it takes part."""
        self.start()
        self.wait_until_taking_part()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Stop it."""
        self._child.stop(within=_TIMEOUT_S)

    def start(self) -> None:
        """Start it, without waiting."""
        self._started_in_log = self._taking_part() if self._log.exists() else 0
        command = [sys.executable, "-m", "cli.main", "cluster", "--member", "0"]
        self._child = child.start("cluster", command, folder=Path.cwd(), log=self._log, environment=self._environment)
        self._process = psutil.Process(self._child.process.pid)

    def kill(self) -> None:
        """As by kill -9."""
        self._child.process.kill()
        self._child.process.wait()

    def restart(self) -> float:
        """Stop it, which writes a snapshot, and start it again; the seconds until it takes part again."""
        self._child.stop(within=_TIMEOUT_S)
        started = time.perf_counter()
        self.start()
        self.wait_until_taking_part()
        return time.perf_counter() - started

    def wait_until_taking_part(self) -> None:
        """Wait until `takes_part`."""
        self._child.wait_until(lambda: self.takes_part, within=_TIMEOUT_S)

    @property
    def takes_part(self) -> bool:
        """Whether its state is restored and compared with what is published."""
        return self._taking_part() > self._started_in_log

    def watch(self) -> None:
        """Note its memory. Raises RuntimeError when it has ended by itself."""
        if self._child.process.poll() is not None:
            raise RuntimeError(f"the consumer has ended: {child.last_error_line(self._log)}")
        self.peak_bytes = max(self.peak_bytes, self._process.memory_info().rss)

    def _taking_part(self) -> int:
        return self._log.read_text().count(TAKING_PART)


class Subscriber(AbstractContextManager["Subscriber"]):
    """Reads `assignments` and `clusters`, and checks each record against those before.

    faces: the last assignment of each face. sizes: what the log of clusters comes to. records, seen, transactions: of
    `assignments`, since `begin`: how many records, the faces that they are of, and in how many transactions.
    """

    def __init__(self, kafka: KafkaSettings) -> None:
        self._reader = clients.consumer(kafka, max_poll_records=5000)
        partitions = [one for topic in (ASSIGNMENTS, CLUSTERS) for one in partitions_of(self._reader, topic)]
        self._partitions = [TopicPartition(one.topic, one.partition) for one in partitions]
        self._reader.assign(self._partitions)
        self.faces: Watched = {}
        self.sizes: Counter[str] = Counter()
        self._complete: set[bytes] = set()
        self._open: set[bytes] = set()
        self.begin()

    def begin(self) -> None:
        """Count from here on."""
        self.records = 0
        self.seen: set[bytes] = set()
        self.transactions: set[bytes] = set()

    def poll(self) -> int:
        """Read what there is; how many records."""
        count = 0
        for partition, records in self._reader.poll(timeout_ms=200).items():
            count += len(records)
            for record in records:
                headers = dict(record.headers)
                self._follow(headers)
                if partition.topic == CLUSTERS.name:
                    self._log(json.loads(record.value))
                else:
                    self.records += 1
                    self.seen.add(record.key)
                    self.transactions.add(headers["ce_id"].partition(b"-")[0])
                    self._assign(record.key.decode(), record.value)
        return count

    @property
    def is_at_end(self) -> bool:
        """Whether there is nothing more to read."""
        ends = self._reader.end_offsets(self._partitions)
        return all(self._reader.position(partition) >= end for partition, end in ends.items())

    @property
    def is_complete(self) -> bool:
        """Whether a record of the last chunk of each delta was read."""
        return not self._open

    def _follow(self, headers: dict[str, bytes]) -> None:
        delta = headers.get(DELTA)
        if delta is None or delta in self._complete:
            return
        number, _, count = headers[CHUNK].partition(b"/")
        if number == count:
            self._complete.add(delta)
            self._open.discard(delta)
        else:
            self._open.add(delta)

    def _assign(self, face_id: str, value: bytes | None) -> None:
        if value is None:
            self.faces.pop(face_id, None)
            return
        fields = json.loads(value)
        soft = fields["soft_label"]
        label = fields["hard_label"] or (soft and soft["label_id"])
        self.faces[face_id] = (fields["cluster_id"] and sys.intern(fields["cluster_id"]), label and sys.intern(label))

    def _log(self, change: dict[str, object]) -> None:
        cluster_id, size = str(change["cluster_id"]), int(str(change["size"]))
        if change["change"] in _ENDS:
            del self.sizes[cluster_id]
        else:
            self.sizes[cluster_id] = size

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Close the connection."""
        self._reader.close()


class Run:
    """One change of all faces: read to its end, with kills on the way."""

    def __init__(self, consumer: ClusterProcess, subscriber: Subscriber, lags: LagReader) -> None:
        self._consumer = consumer
        self._subscriber = subscriber
        self._lags = lags

    def begin(self) -> None:
        """Measure from here on."""
        self._subscriber.begin()
        self._consumer.peak_bytes = 0
        self.kills = 0
        self._restarts: list[float] = []
        self._started = time.perf_counter()

    def until_done(self, kills: int, faces: int) -> None:
        """Read until the consumer has no lag. Kill it so many times, each time when another share of the faces is read.

        Raises RuntimeError after half an hour.
        """
        restarted: float | None = None
        while time.perf_counter() < self._started + _TIMEOUT_S:
            count = self._subscriber.poll()
            self._consumer.watch()
            if restarted is not None and self._consumer.takes_part:
                self._restarts.append(time.perf_counter() - restarted)
                restarted = None
            read = len(self._subscriber.seen)
            is_due = self.kills < kills and faces * (self.kills + 1) / (kills + 1) <= read < faces
            if is_due and restarted is None and self._has_lag():
                self._consumer.kill()
                self.kills += 1
                restarted = time.perf_counter()
                self._consumer.start()
            if not count and restarted is None and not self._has_lag():
                self._seconds = time.perf_counter() - self._started
                while self._subscriber.poll() or not self._subscriber.is_at_end:
                    pass
                return
        raise RuntimeError(f"not done within {_TIMEOUT_S:.0f} s")

    def _has_lag(self) -> bool:
        return any(self._lags.lags({CLUSTER: STAGES[CLUSTER]}).values())

    def figures(self, right: Watched) -> tuple[float, float | None, int, int, int, int, float]:
        """seconds, restart, records, transactions, repeated, wrong, peak_mib. Raises RuntimeError where the log of
        clusters comes to other sizes, or a delta is not complete."""
        subscriber = self._subscriber
        sizes = Counter(cluster_id for cluster_id, _ in right.values() if cluster_id is not None)
        if subscriber.sizes != sizes or not subscriber.is_complete:
            raise RuntimeError(f"the log of clusters comes to {subscriber.sizes}, not {sizes}, or is not complete")
        either = subscriber.faces.keys() | right.keys()
        wrong = sum(1 for face_id in either if subscriber.faces.get(face_id) != right.get(face_id))
        return (
            self._seconds,
            max(self._restarts, default=None),
            subscriber.records,
            len(subscriber.transactions),
            subscriber.records - len(subscriber.seen),
            wrong,
            self._consumer.peak_bytes / 2**20,
        )
