"""Index and cluster as processes of the command, what is said to them, and what they must come to."""

from __future__ import annotations

import os
import random
import re
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from cli.supervisor import as_environment
from consumers import cluster, index
from schemas.clusters import Change, ClusterChanged, FaceAssigned
from schemas.faces import ScanAnalysed
from schemas.neighbours import NeighboursFound
from schemas.topics import ASSIGNMENTS, CLUSTERS, FACES, NEIGHBOURS, Tombstone
from settings import Settings
from stream.reading import read_to_end
from tests.conftest import broker
from tests.consumers.test_audit import wait_for_audit
from tests.consumers.test_index_and_cluster import BOTH, analysed, publish, running, wait_until_done
from tests.index.archive import people

# So few links that much is missed: only the audit makes the graph exact.
POOR = {"exact_below": 10, "m": 2, "ef_construction": 8, "ef": 8}


def history(messages: int, seed: int) -> list[ScanAnalysed | Tombstone]:
    """Scans that come, are analysed anew and are withdrawn."""
    chance = random.Random(seed)
    vectors = people(messages, a_person=12, seed=seed)
    said: list[ScanAnalysed | Tombstone] = []
    known = 0
    for vector in vectors:
        kind = chance.random()
        if known and kind < 0.1:
            said.append(Tombstone(FACES, f"scan-{chance.randrange(known):04}"))
        elif known and kind < 0.2:
            said.append(analysed(chance.randrange(known), vector))
        else:
            said.append(analysed(known, vector))
            known += 1
    return said


@dataclass
class Consumers:
    """Consumers as processes of the command, each with its own log."""

    settings: Settings
    processes: dict[tuple[str, str], subprocess.Popen[bytes]] = field(default_factory=dict)

    def start(self, name: str, member: str = "0", *options: str) -> None:
        command = [sys.executable, "-m", "cli.main", name, "--member", member, *options]
        with self.log(name, member).open("w") as log:
            self.processes[name, member] = subprocess.Popen(
                command, env=os.environ | as_environment(self.settings), stdout=log, stderr=log
            )

    def log(self, name: str, member: str) -> Path:
        return self.settings.data / f"{name}-{member}.log"

    def is_taking_part(self, name: str, member: str = "0") -> bool:
        return "taking part" in self.log(name, member).read_text()

    def wait_until_taking_part(self, name: str, member: str = "0", within_s: float = 60) -> None:
        deadline = time.monotonic() + within_s
        while not self.is_taking_part(name, member):
            assert self.processes[name, member].poll() is None, self.log(name, member).read_text()
            assert time.monotonic() < deadline, f"{name} {member} does not take part"
            time.sleep(0.02)

    def owner(self, name: str, within_s: float = 60) -> str:
        """The one member that takes part, once all others have said that they stand by."""
        deadline = time.monotonic() + within_s
        while True:
            roles = {member: self._role(name, member) for of, member in self.processes if of == name}
            owners = [member for member, role in roles.items() if role == "taking part"]
            if len(owners) == 1 and all(roles.values()):
                return owners[0]
            assert time.monotonic() < deadline, f"{name}: {roles}"
            time.sleep(0.1)

    def _role(self, name: str, member: str) -> str | None:
        said = re.findall("taking part|standing by", self.log(name, member).read_text())
        return said[-1] if said else None

    def kill(self, name: str, member: str = "0") -> None:
        process = self.processes[name, member]
        process.kill()
        process.wait()
        del self.processes[name, member]

    def stop(self) -> None:
        for process in self.processes.values():
            process.terminate()
        for process in self.processes.values():
            process.wait(timeout=30)


@contextmanager
def consumers(settings: Settings) -> Iterator[Consumers]:
    started = Consumers(settings)
    try:
        yield started
    finally:
        started.stop()


@contextmanager
def archive(data: Path) -> Iterator[Settings]:
    """A broker and a data folder of their own."""
    with broker(data / "kafka") as kafka:
        yield Settings.model_validate({"data": data, "kafka": kafka.model_dump(), "index": POOR})


def last_said(settings: Settings) -> dict[str, FaceAssigned]:
    """The assignments, in full; asserts that nobody was told the same twice."""
    last: dict[str, FaceAssigned | Tombstone] = {}
    for it in read_to_end(settings.kafka, ASSIGNMENTS):
        assert isinstance(it.message, FaceAssigned | Tombstone)
        assert last.get(it.message.key) != it.message, "said twice"
        last[it.message.key] = it.message
    return {face_id: it for face_id, it in last.items() if isinstance(it, FaceAssigned)}


def sizes_in_the_log(settings: Settings) -> dict[str, int]:
    """The clusters that a reader of `clusters` alone arrives at."""
    sizes: dict[str, int] = {}
    for it in read_to_end(settings.kafka, CLUSTERS):
        change = it.message
        assert isinstance(change, ClusterChanged)
        if change.change in (Change.MERGED, Change.RETIRED):
            del sizes[change.cluster_id]
        else:
            assert (change.change is Change.CREATED) == (change.cluster_id not in sizes)
            sizes[change.cluster_id] = change.size
            if not change.size:
                sizes[change.cluster_id] = 0
    return sizes


def check(settings: Settings, undisturbed: dict[str, FaceAssigned]) -> None:
    """All is said, and nothing is said twice."""
    assert last_said(settings) == undisturbed
    counted = Counter(it.cluster_id for it in undisturbed.values())
    assert sizes_in_the_log(settings) == counted
    said = Counter(
        (it.message.key, it.message.analysis)
        for it in read_to_end(settings.kafka, NEIGHBOURS)
        if isinstance(it.message, NeighboursFound)
    )
    assert set(said.values()) <= {1, 2}, "more than the index and its audit"


def undisturbed_run(data: Path, messages: Sequence[ScanAnalysed | Tombstone]) -> dict[str, FaceAssigned]:
    with archive(data) as settings:
        publish(settings.kafka, messages)
        with running(settings, index.run, cluster.run):
            wait_until_done(settings, BOTH)
            wait_for_audit(settings)
            wait_until_done(settings, BOTH)
        return last_said(settings)
