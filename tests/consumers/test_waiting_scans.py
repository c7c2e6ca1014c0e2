"""Scans whose store is unavailable wait, others go on; a scan is given up only where the fault is its own."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import pytest

from consumers.detection import Detection
from consumers.workers import Outcome, Unreached, Unusable
from errors import Retriable
from models.stores.errors import Cause
from models.stores.outages import Attempts, Outages
from schemas.codec import encode
from schemas.scans import ScanPublished
from schemas.topics import FACES, SCANS, Tombstone
from stream import waits
from stream.records import Output, Received, Rejected
from tests.builders.clock import NOON

FIRST = ("scans", 0)


@dataclass
class World:
    """Stores that fail as the test says, a clock that it moves, and what was fetched since it last looked.

    failing: why a store, or one scan, is not delivered now.
    """

    failing: dict[str, Cause] = field(default_factory=dict)
    fetched: list[str] = field(default_factory=list)
    time: float = 0.0
    offset: int = 0
    stop: threading.Event = field(default_factory=threading.Event)

    def detection(self, most_waiting: int = 100, most_waiting_bytes: int = 2**20) -> Detection:
        return Detection(self.analyse, self.store_of, self.stop, lambda: self.time, most_waiting, most_waiting_bytes)

    def analyse(self, scans: Sequence[ScanPublished]) -> list[Outcome]:
        return [self.outcome(scan) for scan in scans]

    def outcome(self, scan: ScanPublished) -> Outcome:
        self.fetched.append(scan.scan_id)
        store = self.store_of(scan.uri)
        for name in (store, scan.scan_id):
            if cause := self.failing.get(name):
                return Unreached(store, f"{name} fails", cause, tried=True)
        # Any outcome that is final stands for an analysis.
        return Unusable(f"analysed {scan.scan_id} {scan.collection}")

    @staticmethod
    def store_of(uri: str) -> str:
        return uri.split("/")[2]

    def scan(self, scan_id: str, version: str = "1") -> Received:
        """A scan `store/name`."""
        published = ScanPublished(
            scan_id=scan_id,
            uri=f"http://{scan_id}",
            sha256="0" * 64,
            media_type="image/jpeg",
            collection=version,
            published_at=NOON,
        )
        return self.received(published)

    def received(self, message: ScanPublished | Tombstone) -> Received:
        self.offset += 1
        record = encode(message, event_id="1", time=NOON)
        return Received("scans", 0, self.offset - 1, record, message)

    def later(self, detection: Detection, seconds: float = 1000) -> list[Output]:
        """What an idle detect publishes after some time."""
        self.time += seconds
        self.fetched.clear()
        outputs, _ = detection.idle("")
        return outputs


def results(outputs: Sequence[Output]) -> list[str]:
    return [output.reason if isinstance(output, Rejected) else str(output) for output in outputs]


@pytest.fixture
def world() -> World:
    return World()


def test_scans_of_an_unavailable_store_wait_and_the_others_are_analysed(world: World) -> None:
    world.failing["nas"] = "store"
    detection = world.detection()
    batch = [world.scan(name) for name in ("web/1", "nas/2", "web/3", "nas/4")]
    assert results(detection.step(batch)) == ["analysed web/1 1", "analysed web/3 1"]
    assert detection.hold({FIRST: 4, ("scans", 1): 7}) == {FIRST: 1, ("scans", 1): 7}
    # Those that come later are not tried, so that nobody waits for them.
    world.fetched.clear()
    assert results(detection.step([world.scan("nas/5"), world.scan("web/6")])) == ["analysed web/6 1"]
    assert world.fetched == ["web/6"]
    _, metadata = detection.idle("")
    assert [wait.line for wait in waits.decode([metadata])] == ["3 scans wait for nas: nas fails"]


def test_a_store_that_is_unavailable_is_tried_with_one_scan_later_each_time(world: World) -> None:
    world.failing["nas"] = "store"
    detection = world.detection()
    detection.step([world.scan("nas/1"), world.scan("nas/2")])
    tried: list[float] = []
    for _ in range(2000):
        world.later(detection, 1.0)
        assert len(world.fetched) <= 1
        if world.fetched:
            tried.append(world.time)
    waits = [after - before for before, after in pairwise(tried)]
    assert waits[:9] == [2, 4, 8, 16, 32, 64, 128, 256, 300]


def test_a_store_that_answers_again_delivers_all_that_wait(world: World) -> None:
    world.failing["nas"] = "store"
    detection = world.detection()
    detection.step([world.scan(f"nas/{number}") for number in range(20)])
    assert world.later(detection) == []
    del world.failing["nas"]
    outputs = [*world.later(detection), *world.later(detection, 0), *world.later(detection, 0)]
    assert sorted(results(outputs)) == sorted(f"analysed nas/{number} 1" for number in range(20))
    assert detection.hold({FIRST: 20}) == {FIRST: 20}
    assert detection.idle("") == ([], "")


def test_waiting_scans_are_tried_with_the_next_batch_too(world: World) -> None:
    world.failing["nas"] = "store"
    detection = world.detection()
    detection.step([world.scan("nas/1")])
    del world.failing["nas"]
    world.time += 10
    assert results(detection.step([world.scan("web/2")])) == ["analysed nas/1 1", "analysed web/2 1"]


def test_a_scan_that_waits_is_superseded_by_its_withdrawal_or_by_a_later_version(world: World) -> None:
    world.failing["nas"] = "store"
    detection = world.detection()
    detection.step([world.scan("nas/gone"), world.scan("nas/new"), world.received(Tombstone(SCANS, "nas/gone"))])
    assert detection.step([world.scan("nas/new", "2")]) == []
    del world.failing["nas"]
    assert results([*world.later(detection), *world.later(detection)]) == ["analysed nas/new 2"]
    assert world.later(detection) == []


def test_a_withdrawal_of_a_waiting_scan_is_passed_on(world: World) -> None:
    world.failing["nas"] = "store"
    detection = world.detection()
    detection.step([world.scan("nas/1")])
    assert detection.step([world.received(Tombstone(SCANS, "nas/1"))]) == [Tombstone(FACES, "nas/1")]
    assert detection.hold({FIRST: 2}) == {FIRST: 2}


def test_a_version_that_is_due_comes_before_the_one_that_follows_it(world: World) -> None:
    world.failing["nas"] = "store"
    detection = world.detection()
    detection.step([world.scan("nas/1")])
    del world.failing["nas"]
    world.time += 10
    outputs = [*detection.step([world.scan("nas/1", "2")]), *world.later(detection, 0)]
    assert results(outputs) == ["analysed nas/1 1", "analysed nas/1 2"]


def test_a_scan_that_breaks_off_again_and_again_is_given_up(world: World) -> None:
    world.failing["web/bad"] = "scan"
    detection = world.detection()
    assert results(detection.step([world.scan("web/bad"), world.scan("web/good")])) == ["analysed web/good 1"]
    assert world.later(detection) == []
    assert results(world.later(detection)) == ["http://web/bad: web/bad fails (tried 3 times)"]
    assert detection.idle("") == ([], "")


def test_a_server_that_fails_for_one_scan_only_gives_it_up_once_it_has_delivered_others(world: World) -> None:
    world.failing["web/bad"] = "unclear"
    detection = world.detection()
    detection.step([world.scan("web/bad")])
    assert [world.later(detection) for _ in range(4)] == [[], [], [], []]
    assert results(detection.step([world.scan("web/good")])) == ["analysed web/good 1"]
    assert results(world.later(detection)) == ["http://web/bad: web/bad fails (tried 6 times)"]


def test_a_store_that_fails_for_many_scans_in_a_row_is_unavailable_and_none_is_given_up(world: World) -> None:
    world.failing["web"] = "scan"
    detection = world.detection()
    detection.step([world.scan(f"web/{number}") for number in range(6)])
    for _ in range(10):
        assert world.later(detection) == []
        assert len(world.fetched) == 1
    del world.failing["web"]
    outputs = [*world.later(detection), *world.later(detection, 0)]
    assert sorted(results(outputs)) == [f"analysed web/{number} 1" for number in range(6)]


def test_what_failed_during_an_outage_does_not_count_against_a_scan() -> None:
    outages, scan = Outages(), Attempts("web")
    for _ in range(5):
        assert not outages.failed(Attempts("web"), "unclear", "503")
    for _ in range(4):
        assert not outages.failed(scan, "unclear", "503")
    assert outages.is_unavailable("web")
    assert outages.delivered("web", 0)
    outages.delivered("web", 0)
    assert [outages.failed(scan, "scan", "cut") for _ in range(3)] == [False, False, True]


def test_scans_that_were_not_tried_wait_without_counting(world: World) -> None:
    detection = Detection(
        lambda scans: [Unreached("nas", "it hung a moment ago", "unclear", tried=False) for _ in scans],
        world.store_of,
        world.stop,
        lambda: world.time,
    )
    batch = [world.scan(f"nas/{number}") for number in range(9)]
    detection.step(batch)
    for _ in range(9):
        assert world.later(detection) == []
    assert detection.hold({FIRST: 9}) == {FIRST: 0}


def test_with_too_many_waiting_no_more_are_taken_until_some_are_done(world: World) -> None:
    world.failing["nas"] = "store"
    detection = world.detection(most_waiting=3)
    detection.step([world.scan("nas/1"), world.scan("nas/2")])
    world.stop.set()
    with pytest.raises(Retriable):
        detection.step([world.scan("web/3"), world.scan("web/4")])
    world.stop.clear()
    del world.failing["nas"]
    world.time += 10
    outputs = detection.step([world.scan("web/3"), world.scan("web/4")])
    assert sorted(results(outputs)) == ["analysed nas/1 1", "analysed nas/2 1", "analysed web/3 1", "analysed web/4 1"]


def test_with_too_many_bytes_waiting_no_more_are_taken_until_some_are_done(world: World) -> None:
    """A scan may have megabytes of metadata."""
    world.failing["nas"] = "store"
    detection = world.detection(most_waiting_bytes=3_000)
    large = [world.scan(f"nas/{number}", version="x" * 900) for number in range(4)]
    detection.step(large[:2])
    world.stop.set()
    with pytest.raises(Retriable):
        detection.step(large[2:])
    world.stop.clear()
    del world.failing["nas"]
    world.time += 10
    assert len(detection.step(large[2:])) == 4


def test_what_is_waited_for_fits_beside_an_offset(world: World) -> None:
    detection = world.detection(1000)
    for number in range(200):
        world.failing[f"host-{number}.example.org"] = "store"
    detection.step([world.scan(f"host-{number}.example.org/1") for number in range(200)])
    _, metadata = detection.idle("")
    assert len(metadata.encode()) < 4096
    assert len(waits.decode([metadata])) > 20
