"""Detect: a scan in, an analysis out; a scan that cannot be analysed does not affect the others."""

from __future__ import annotations

import hashlib
import os
import resource
import signal
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
from PIL import Image
from prometheus_client import REGISTRY

from consumers import detect
from consumers import workers as workers_of_detect
from consumers.detection import Detection
from consumers.workers import Done, Outcome, Unusable, Workers
from errors import Fatal
from models.analyse import EngineParameters
from models.embed_again import ScanWithFaces
from models.profiling import ANALYSIS, DECODING, DETECTION, EMBEDDING, LANDMARKS, READING, REST
from schemas.codec import encode
from schemas.faces import ScanAnalysed
from schemas.scans import ScanPublished
from schemas.topics import FACES, SCANS, Tombstone
from settings import Settings
from stream.records import Cause, Received, Rejected
from telemetry.health import health
from tests.builders.catalogue import analysed
from tests.builders.clock import NOON
from tests.builders.stores import ANYWHERE


def scan(path: Path) -> ScanPublished:
    data = path.read_bytes()
    return ScanPublished(
        scan_id=f"album/{path.name}",
        uri=path.as_uri(),
        sha256=hashlib.sha256(data).hexdigest(),
        media_type="image/jpeg",
        collection="album",
        published_at=NOON,
    )


@pytest.fixture
def pictures(tmp_path: Path) -> list[ScanPublished]:
    """Good pictures without a face, with names that a uri has to escape."""
    scans = []
    for number, name in enumerate(["plain.jpg", "with space.jpg", "ä[1]#%.jpg"]):
        path = tmp_path / name
        Image.fromarray(np.full((100, 120, 3), 60 * number, dtype=np.uint8)).save(path)
        scans.append(scan(path))
    return scans


@pytest.fixture(scope="module")
def two() -> Iterator[Workers]:
    with Workers(EngineParameters(upsample=0), 2, stores=ANYWHERE) as pool:
        yield pool


def received(message: ScanPublished | Tombstone) -> Received:
    return Received("scans", 0, 0, encode(message, event_id="1", time=NOON), message)


def test_each_scan_gets_its_outcome_in_order(two: Workers, pictures: list[ScanPublished]) -> None:
    outcomes = two.analyse(pictures)
    assert [outcome.scan_id for outcome in outcomes if isinstance(outcome, ScanAnalysed)] == [
        picture.scan_id for picture in pictures
    ]


def test_the_time_of_each_stage_is_in_the_metrics(two: Workers, pictures: list[ScanPublished]) -> None:
    def counted() -> dict[str, float]:
        name = "facestream_stage_duration_seconds_count"
        return {stage: REGISTRY.get_sample_value(name, {"stage": stage}) or 0 for stage in ANALYSIS}

    before = counted()
    missing = pictures[0].model_copy(update={"uri": "file:///nowhere/at%20all.jpg"})
    two.analyse([*pictures, missing])
    of_it = {stage: count - before[stage] for stage, count in counted().items()}
    # Four tasks of a scan each. There are no faces to align; what cannot be read is timed as well.
    assert (of_it[READING], of_it[DECODING], of_it[EMBEDDING], of_it[REST]) == (4, 4, 4, 4)
    assert of_it[DETECTION] >= 3 and of_it[LANDMARKS] == 0


def test_an_unusable_scan_has_a_reason(two: Workers, pictures: list[ScanPublished]) -> None:
    wrong = pictures[0].model_copy(update={"sha256": "0" * 64})
    missing = pictures[0].model_copy(update={"uri": "file:///nowhere/at%20all.jpg"})
    foreign = pictures[0].model_copy(update={"uri": "gopher://archive/1.jpg"})
    outcomes = two.analyse([wrong, missing, foreign])
    reasons = [outcome.reason for outcome in outcomes if isinstance(outcome, Unusable)]
    assert reasons == [
        f"{wrong.uri} has another sha256 than it was published with: publish it again as it is now",
        "nothing is at file:///nowhere/at%20all.jpg",
        "gopher://archive/1.jpg: gopher:// is not read here, only file, memory (FACESTREAM_STORES__SCHEMES)",
    ]


def test_a_process_that_is_killed_costs_no_scan(two: Workers, pictures: list[ScanPublished]) -> None:
    before = two.analyse(pictures)
    for process in list(two._pool._processes.values()):
        os.kill(int(process.pid or 0), signal.SIGKILL)
    assert two.analyse(pictures) == before


def test_withdrawals_stay_in_order_among_the_scans(pictures: list[ScanPublished]) -> None:
    def analyse(scans: Sequence[ScanPublished]) -> list[Outcome]:
        return [Unusable(one.scan_id) for one in scans]

    gone = Tombstone(SCANS, "album/plain.jpg")
    batch = [received(pictures[0]), received(gone), received(pictures[1])]
    outputs = Detection(analyse, lambda uri: uri, threading.Event()).step(batch)
    assert outputs[1] == Tombstone(FACES, "album/plain.jpg")
    assert outputs[0] == Rejected(batch[0], "album/plain.jpg", Cause.SCAN)
    assert outputs[2] == Rejected(batch[2], "album/with space.jpg", Cause.SCAN)


def test_faces_are_embedded_again_by_their_last_analysis_where_the_picture_is_the_same(
    pictures: list[ScanPublished],
) -> None:
    def analysis(offset: int, one: ScanPublished, **changed: object) -> Received:
        event = analysed(one.scan_id).model_copy(update={"sha256": one.sha256} | changed)
        return Received("faces", 0, offset, encode(event, event_id="1", time=NOON), event)

    plain, withdrawn, exchanged = pictures
    gone = Tombstone(FACES, "album/other.jpg")
    batch = [
        analysis(0, plain, width=1),
        analysis(1, withdrawn),
        analysis(2, exchanged, sha256="0" * 64),
        Received("faces", 0, 3, encode(gone, event_id="1", time=NOON), gone),
        analysis(4, plain, width=2),
    ]
    present = {one.scan_id: one for one in (plain, exchanged)}
    chosen = detect.to_embed_again(batch, lambda ids: {one: present[one] for one in ids if one in present})
    assert [one.offset for one in chosen] == [4, 3]
    scan_with_faces = chosen[0].message
    assert isinstance(scan_with_faces, ScanWithFaces)
    assert (scan_with_faces.uri, scan_with_faces.analysis.width) == (plain.uri, 2)
    assert chosen[1].message == gone


def test_worker_threads_return_what_processes_return(two: Workers, pictures: list[ScanPublished]) -> None:
    missing = pictures[0].model_copy(update={"uri": "file:///nowhere/at%20all.jpg"})
    scans = [*pictures, missing, *pictures, missing, *pictures]
    with Workers(EngineParameters(upsample=0), 1, threads=3, stores=ANYWHERE) as threads:
        assert threads.analyse(scans) == two.analyse(scans)


class ShortOfMemory(Workers):
    """Workers whose processes can have only so many MiB more than they have once the networks are loaded."""

    more_mib = 150

    def _await_ready(self) -> None:
        super()._await_ready()
        for pid in self._pool._processes:
            limit = psutil.Process(pid).memory_info().vms + self.more_mib * 2**20
            resource.prlimit(pid, resource.RLIMIT_AS, (limit, limit))


@pytest.mark.weights
@pytest.mark.skipif(not hasattr(resource, "prlimit"), reason="limits of another process are set on Linux only")
@pytest.mark.parametrize("threads", [1, 2])
def test_a_picture_that_memory_is_too_short_for_costs_only_itself(
    pictures: list[ScanPublished], tmp_path: Path, threads: int
) -> None:
    path = tmp_path / "large.jpg"
    Image.new("RGB", (5000, 5000)).save(path)
    with ShortOfMemory(EngineParameters(upsample=0, max_size=5000, threads=1), 1, threads, ANYWHERE) as workers:
        outcomes = workers.analyse([pictures[0], scan(path), pictures[1]])
    assert [type(outcome) for outcome in outcomes] == [ScanAnalysed, Unusable, ScanAnalysed]
    assert isinstance(outcomes[1], Unusable)
    assert "for want of memory" in outcomes[1].reason or "more memory than there is" in outcomes[1].reason


@pytest.mark.weights
@pytest.mark.slow
def test_an_image_that_is_not_decoded_in_time_costs_only_itself(pictures: list[ScanPublished], tmp_path: Path) -> None:
    path = tmp_path / "endless.png"
    Image.new("RGB", (16_000, 16_000)).save(path)
    with Workers(EngineParameters(upsample=0), 1, stores=ANYWHERE, decode_deadline_s=0.4) as workers:
        outcomes = workers.analyse([pictures[0], scan(path), pictures[1]])
    assert [type(outcome) for outcome in outcomes] == [ScanAnalysed, Unusable, ScanAnalysed]
    assert isinstance(outcomes[1], Unusable)
    assert "was stopped: the image was not decoded within 0.4 seconds" in outcomes[1].reason


class InThreads(Workers):
    """Workers without processes and networks."""

    def _start(self) -> Any:  # noqa: ANN401
        return ThreadPoolExecutor(1)

    def _await_ready(self) -> None:
        pass


def test_an_error_that_nobody_foresaw_is_tried_once_more_alone_and_then_a_dead_letter(
    pictures: list[ScanPublished], monkeypatch: pytest.MonkeyPatch
) -> None:
    tries: list[list[str]] = []

    def analyse(scans: Sequence[ScanPublished]) -> Done:
        tries.append([one.scan_id for one in scans])
        if pictures[1] in scans:
            raise LookupError("what is this?")
        return Done([Unusable("well") for _ in scans], [])

    monkeypatch.setattr("consumers.workers._analyse", analyse)
    with InThreads(EngineParameters(), 1) as workers:
        outcomes = workers.analyse(pictures)
    reasons = [outcome.reason for outcome in outcomes if isinstance(outcome, Unusable)]
    assert reasons == ["well", f"analysing {pictures[1].uri} failed twice (LookupError: what is this?)", "well"]
    assert tries.count([pictures[1].scan_id]) == 1


def test_networks_that_cannot_be_loaded_are_reported_in_one_line(tmp_path: Path) -> None:
    parameters = EngineParameters(detector_path=tmp_path / "none.dat")
    with pytest.raises(Fatal, match=r"the weights .*none\.dat cannot be read: No such file"), Workers(parameters, 1):
        pass


def test_while_the_networks_are_loaded_the_process_is_alive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workers_of_detect, "_TURN_EVERY_S", 0.05)
    monkeypatch.setattr(health, "_turned_at", -1e9)
    with pytest.raises(Fatal), Workers(EngineParameters(detector_path=tmp_path / "none.dat"), 1):
        pass
    assert health.is_alive


def test_a_provider_that_is_absent_is_reported_in_one_line() -> None:
    settings = Settings.model_validate({"models": {"provider": "tensorrt"}})
    with pytest.raises(Fatal, match=r"the provider tensorrt is not in this ONNX Runtime, which has: .*cpu"):
        detect.run(settings, "a", threading.Event(), lambda: NOON)
