"""The index audits itself on a real broker: what HNSW missed is said, once, and never after a withdrawal."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from cli.supervisor import as_environment
from consumers import cluster, index
from consumers.audit import AuditProgress
from index.entries import Analysed
from schemas.neighbours import NeighboursFound
from schemas.topics import FACES, NEIGHBOURS, Tombstone
from settings import Settings
from stream.lag import lag_reader
from stream.reading import read_to_end
from tests.conftest import broker
from tests.consumers.test_index_and_cluster import BOTH, analysed, assignments, expected, publish, running
from tests.consumers.test_index_and_cluster import wait_until_done as wait_for_stages
from tests.e2e.conftest import facestream
from tests.index.archive import edges_said, people, true_edges

VECTORS = people(1_500, a_person=15)
EPS = 0.4


@pytest.fixture
def settings(tmp_path: Path) -> Iterator[Settings]:
    """A broker of the test's own, and an index with so few links that much is missed."""
    with broker(tmp_path / "kafka") as kafka:
        yield Settings.model_validate(
            {
                "data": tmp_path,
                "kafka": kafka.model_dump(),
                "index": {"exact_below": 10, "m": 2, "ef_construction": 8, "ef": 8},
                "clustering": {"eps": EPS},
            }
        )


def audited(settings: Settings, shard: int = 0, shards: int = 1) -> AuditProgress:
    with lag_reader(settings.kafka) as reader:
        return AuditProgress.from_metadata(reader.note(index.group_of(shard, shards), FACES))


def wait_for_audit(settings: Settings, shards: int = 1, within_s: float = 60) -> None:
    deadline = time.monotonic() + within_s
    with lag_reader(settings.kafka) as reader:
        while min(audited(settings, shard, shards).offset for shard in range(shards)) < reader.end(NEIGHBOURS):
            assert time.monotonic() < deadline, "the audit does not come to its end"
            time.sleep(0.2)


def records(settings: Settings) -> list[NeighboursFound | Tombstone]:
    said = [it.message for it in read_to_end(settings.kafka, NEIGHBOURS)]
    return [it for it in said if isinstance(it, NeighboursFound | Tombstone)]


def entries(settings: Settings) -> list[Analysed]:
    """The live analyses, as the log of `faces` has them."""
    batch = list(read_to_end(settings.kafka, FACES))
    last = {entry.scan_id: entry for entry in index.said(batch)[0]}
    return [entry for entry in last.values() if isinstance(entry, Analysed)]


def test_what_was_missed_is_said_once_and_the_graph_is_exact(settings: Settings) -> None:
    publish(settings.kafka, [analysed(number, vector) for number, vector in enumerate(VECTORS[:1_200])])
    with running(settings, index.run, cluster.run):
        wait_for_stages(settings, BOTH)
        wait_for_audit(settings)
    first = audited(settings)
    live = entries(settings)
    truth = true_edges(live)
    assert edges_said(records(settings), live).keys() == truth.keys()
    assert first.pairs == len(truth)
    assert 0.2 < first.recall < 0.99
    said = Counter(record.key for record in records(settings))
    assert set(said.values()) == {1, 2}
    assert list(said.values()).count(2) == first.said_again
    assert assignments(settings) == expected(VECTORS[:1_200], EPS)

    publish(settings.kafka, [analysed(number, vector) for number, vector in enumerate(VECTORS[1_200:], 1_200)])
    with running(settings, index.run, cluster.run):
        wait_for_stages(settings, BOTH)
        wait_for_audit(settings)
    assert assignments(settings) == expected(VECTORS, EPS)
    after = Counter(record.key for record in records(settings))
    assert {key: after[key] for key in said} == said, "audited again after a restart"


def test_shards_are_audited_each_by_its_owner(settings: Settings) -> None:
    publish(settings.kafka, [analysed(number, vector) for number, vector in enumerate(VECTORS)])
    shards = [partial(index.run, shard=number, shards=2) for number in range(2)]
    with running(settings, *shards):
        wait_for_stages(settings, {index.group_of(number, 2): [FACES] for number in range(2)})
        wait_for_audit(settings, shards=2)
    live = entries(settings)
    truth = true_edges(live)
    assert edges_said(records(settings), live).keys() == truth.keys()
    both = [audited(settings, shard, 2) for shard in range(2)]
    assert sum(it.pairs for it in both) == len(truth)
    assert [it.scans for it in both] == [1_500, 1_500]
    assert all(it.found < it.pairs for it in both)


def test_nothing_is_said_of_a_scan_after_it_was_withdrawn(settings: Settings) -> None:
    scans = [analysed(number, vector) for number, vector in enumerate(VECTORS)]
    publish(settings.kafka, scans)
    with running(settings, index.run, cluster.run):
        for start in range(0, 1_500, 100):
            time.sleep(0.2)
            publish(settings.kafka, [Tombstone(FACES, scan.scan_id) for scan in scans[start : start + 100 : 2]])
        wait_for_stages(settings, BOTH)
        wait_for_audit(settings)
        wait_for_stages(settings, BOTH)
    last = {record.key: record for record in records(settings)}
    gone = [key for key, record in last.items() if isinstance(record, Tombstone)]
    assert sorted(gone) == [f"0/scan-{number:04}" for number in range(0, 1_500, 2)]
    left = assignments(settings)
    assert sorted(left) == [f"face-{number:04}" for number in range(1, 1_500, 2)]
    live = entries(settings)
    assert edges_said(records(settings), live).keys() == true_edges(live).keys()


@pytest.fixture
def environment(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """The settings for a command that is called."""
    for name, value in as_environment(settings).items():
        monkeypatch.setenv(name, value)


@pytest.mark.usefixtures("environment")
def test_the_command_waits_for_a_running_index_or_runs_one_itself(settings: Settings) -> None:
    def audit(*arguments: str) -> str:
        done = facestream("audit", *arguments)
        assert done.returncode == 0, done.stderr
        return done.stdout

    assert json.loads(audit("--json")) == {
        "scans": 0, "records_left": 0, "pairs": 0, "found": 0, "recall": 1.0, "mended": 0, "said_again": 0
    }  # fmt: skip
    publish(settings.kafka, [analysed(number, vector) for number, vector in enumerate(VECTORS[:1_000])])
    with running(settings, index.run):
        wait_for_stages(settings, {index.GROUP: [FACES]})
        first = json.loads(audit("--all", "--json"))
        publish(settings.kafka, [analysed(number, vector) for number, vector in enumerate(VECTORS[1_000:], 1_000)])
        wait_for_stages(settings, {index.GROUP: [FACES]})
    assert 0 < first["found"] < first["pairs"]
    last = json.loads(audit("--all", "--json"))
    live = entries(settings)
    assert last["pairs"] == len(true_edges(live)) == last["found"] + last["mended"]
    assert (last["scans"], last["recall"]) == (1_500, last["found"] / last["pairs"])
    assert edges_said(records(settings), live).keys() == true_edges(live).keys()
    assert f"{last['recall']:.6f}" in audit()


def test_an_audit_of_what_an_exact_search_said_finds_nothing_to_mend(settings: Settings) -> None:
    exact = settings.model_copy(update={"index": settings.index.model_copy(update={"exact_below": 10_000})})
    publish(exact.kafka, [analysed(number, vector) for number, vector in enumerate(VECTORS[:500])])
    with running(exact, index.run):
        wait_for_stages(exact, {index.GROUP: [FACES]})
        wait_for_audit(exact)
    done = audited(exact)
    assert (done.scans, done.said_again, done.found) == (500, 0, done.pairs)
