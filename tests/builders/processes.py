"""Index and cluster as processes of the command, a history for them, and what they must come to."""

from __future__ import annotations

import os
import random
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from multiprocessing.context import ForkServerProcess
from pathlib import Path

from cli.supervisor import as_environment
from consumers import cluster, index
from consumers.references import event_of
from schemas.clusters import Change, ClusterChanged, FaceAssigned
from schemas.faces import ScanAnalysed
from schemas.neighbours import NeighboursFound
from schemas.topics import ASSIGNMENTS, CLUSTERS, FACES, NEIGHBOURS, Tombstone
from settings import KafkaSettings, Settings
from stream.reading import read_to_end
from stream.transform import TAKING_PART
from tests.builders.analyses import one_face_scan, people
from tests.builders.clock import NOON, wait_until
from tests.builders.forked import fork
from tests.builders.kafka import empty, publish, running, wait_until_done
from tests.builders.pipeline import INDEX_AND_CLUSTER, wait_for_audit
from tests.builders.references import reference

# So few links that much is missed: only the audit makes the graph exact.
POOR = {"exact_below": 10, "m": 2, "ef_construction": 8, "ef": 8}


def random_history(length: int, seed: int) -> list[ScanAnalysed | Tombstone]:
    """A number of messages: scans that come, are analysed again and are withdrawn."""
    chance = random.Random(seed)
    vectors = people(length, a_person=12, seed=seed)
    messages: list[ScanAnalysed | Tombstone] = []
    known = 0
    for vector in vectors:
        kind = chance.random()
        if known and kind < 0.1:
            messages.append(Tombstone(FACES, f"scan-{chance.randrange(known):04}"))
        elif known and kind < 0.2:
            messages.append(one_face_scan(chance.randrange(known), vector))
        else:
            messages.append(one_face_scan(known, vector))
            known += 1
    return messages


@dataclass
class Consumers:
    """Consumers as processes of the command, each with its own log."""

    settings: Settings
    processes: dict[tuple[str, str], ForkServerProcess] = field(default_factory=dict)

    def start(self, name: str, member: str = "0", *options: str) -> None:
        log = self.log(name, member)
        log.write_text("")
        arguments = [name, "--member", member, *options]
        self.processes[name, member] = fork("cli.main", arguments, os.environ | as_environment(self.settings), log)

    def log(self, name: str, member: str) -> Path:
        return self.settings.data / f"{name}-{member}.log"

    def is_taking_part(self, name: str, member: str = "0") -> bool:
        return TAKING_PART in self.log(name, member).read_text()

    def wait_until_taking_part(self, name: str, member: str = "0", within_s: float = 60) -> None:
        def takes_part() -> bool:
            self._check_running(name, member)
            return self.is_taking_part(name, member)

        wait_until(takes_part, f"{name} {member} does not take part", within_s, every_s=0.02)

    def owner(self, name: str, within_s: float = 60) -> str:
        """The one member that takes part, once all others have logged that they stand by."""
        wait_until(lambda: self._owner(name), lambda: f"{name}: {self._logs(name)}", within_s)
        return str(self._owner(name))

    def _owner(self, name: str) -> str | None:
        roles = self._roles(name)
        owners = [member for member, role in roles.items() if role == TAKING_PART]
        return owners[0] if len(owners) == 1 and all(roles.values()) else None

    def _roles(self, name: str) -> dict[str, str | None]:
        for of, member in self.processes:
            self._check_running(of, member)
        return {member: self._role(name, member) for of, member in self.processes if of == name}

    def _logs(self, name: str) -> dict[str, str]:
        return {member: self.log(name, member).read_text() for of, member in self.processes if of == name}

    def _check_running(self, name: str, member: str) -> None:
        if self.processes[name, member].exitcode is not None:
            raise ChildProcessError(self.log(name, member).read_text())

    def _role(self, name: str, member: str) -> str | None:
        roles = re.findall(f"{TAKING_PART}|standing by", self.log(name, member).read_text())
        return roles[-1] if roles else None

    def keep(self) -> None:
        """Start again what has ended, as a supervisor does."""
        for (name, member), process in list(self.processes.items()):
            if process.exitcode is not None:
                self.start(name, member)

    def kill(self, name: str, member: str = "0") -> None:
        process = self.processes[name, member]
        process.kill()
        process.join()
        del self.processes[name, member]

    def stop(self) -> None:
        for process in self.processes.values():
            process.terminate()
        for process in self.processes.values():
            process.join(timeout=30)
            assert process.exitcode is not None, "it does not stop"


@contextmanager
def consumers(settings: Settings) -> Iterator[Consumers]:
    started = Consumers(settings)
    try:
        yield started
    finally:
        started.stop()


def archive_with_a_poor_index(data: Path, kafka: KafkaSettings, distance: str = "euclidean") -> Settings:
    """An empty broker and a data folder. For calibrated distances there is a reference on the broker."""
    empty(kafka)
    publish(kafka, [event_of(reference(people(320, 1, seed=91), people(320, 1, seed=92), level=-0.02), NOON)])
    data.mkdir()
    return Settings.model_validate(
        {"data": data, "kafka": kafka.model_dump(), "index": POOR, "clustering": {"distance": distance}}
    )


def assert_nothing_repeated(settings: Settings) -> dict[str, FaceAssigned]:
    """No assignment stands in the log twice in a row. Gives the last ones."""
    last: dict[str, FaceAssigned | Tombstone] = {}
    for it in read_to_end(settings.kafka, ASSIGNMENTS):
        assert isinstance(it.message, FaceAssigned | Tombstone)
        assert last.get(it.message.key) != it.message, "written twice"
        last[it.message.key] = it.message
    return {face_id: it for face_id, it in last.items() if isinstance(it, FaceAssigned)}


def assert_consistent_sizes(settings: Settings) -> dict[str, int]:
    """Each change of a cluster follows from those before. Gives the sizes that a reader of `clusters` comes to."""
    sizes: dict[str, int] = {}
    for it in read_to_end(settings.kafka, CLUSTERS):
        change = it.message
        assert isinstance(change, ClusterChanged)
        if change.change in (Change.MERGED, Change.RETIRED):
            del sizes[change.cluster_id]
        else:
            assert (change.change is Change.CREATED) == (change.cluster_id not in sizes)
            sizes[change.cluster_id] = change.size
    return sizes


def assert_ended_as(settings: Settings, undisturbed: dict[str, FaceAssigned]) -> None:
    """The topics hold what an undisturbed run comes to, and nothing twice."""
    assert undisturbed
    assert assert_nothing_repeated(settings) == undisturbed
    counted = Counter(it.cluster_id for it in undisturbed.values())
    assert assert_consistent_sizes(settings) == counted
    times_found = Counter(
        (it.message.key, it.message.analysis)
        for it in read_to_end(settings.kafka, NEIGHBOURS)
        if isinstance(it.message, NeighboursFound)
    )
    assert set(times_found.values()) <= {1, 2}, "more than the index and its audit"


def undisturbed_run(
    data: Path, kafka: KafkaSettings, messages: Sequence[ScanAnalysed | Tombstone], distance: str = "euclidean"
) -> dict[str, FaceAssigned]:
    """The assignments that these messages come to when nothing interferes."""
    settings = archive_with_a_poor_index(data, kafka, distance)
    publish(settings.kafka, messages)
    with running(settings, index.run, cluster.run):
        wait_until_done(settings.kafka, INDEX_AND_CLUSTER)
        wait_for_audit(settings)
        wait_until_done(settings.kafka, INDEX_AND_CLUSTER)
    return assert_nothing_repeated(settings)
