"""An outage on a real broker: what waits is not lost, what does not wait goes on, and both can be seen."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

import psutil
import pytest

from consumers.detection import Detection
from consumers.workers import Outcome, Unreached
from errors import Fatal
from models.stores.errors import StoreUnavailable
from models.stores.parameters import StoreParameters
from models.stores.stores import Stores
from schemas.faces import Provenance, ScanAnalysed
from schemas.neighbours import NeighboursFound
from schemas.scans import ScanPublished
from schemas.topics import NEIGHBOURS, SCANS
from settings import KafkaSettings, Settings
from stream import member as stream_member
from stream import waits
from stream.lag import lag_reader
from stream.member import Member
from stream.reading import read_to_end
from stream.records import Positions, RestoredStep
from stream.stages import DETECT, INDEX, STAGES
from telemetry.health import health
from tests.builders.analyses import one_face_scan, people
from tests.builders.clock import wait_until
from tests.builders.kafka import publish, wait_until_done
from tests.builders.processes import consumers
from tests.builders.transforms import running_transform, scan, times_analysed
from tests.builders.web import LOOPBACK, web_server


def without_faces(one: ScanPublished) -> ScanAnalysed:
    return ScanAnalysed(
        scan_id=one.scan_id,
        sha256=one.sha256,
        published_at=one.published_at,
        width=1,
        height=1,
        provenance=Provenance(engine="none", detector="", landmarks="", embedder="", upsample=0, max_size=100),
        faces=(),
    )


def restore_step(stores: Stores, stop: threading.Event) -> Callable[[Positions], RestoredStep]:
    """Detect as it is, but for the networks."""

    def analyse(scans: Sequence[ScanPublished]) -> list[Outcome]:
        outcomes: list[Outcome] = []
        for one in scans:
            try:
                stores.fetch(one.uri)
                outcomes.append(without_faces(one))
            except StoreUnavailable as error:
                outcomes.append(Unreached(error.store, error.reason, error.cause, error.tried))
        return outcomes

    def restore(_: Positions) -> RestoredStep:
        detection = Detection(analyse, stores.store_of, stop)
        return RestoredStep(detection.step, idle=detection.idle, hold=detection.hold)

    return restore


def test_an_outage_is_waited_out_while_other_stores_go_on_and_across_a_restart(
    kafka: KafkaSettings, tmp_path: Path
) -> None:
    nas = tmp_path / "nas"
    stores = Stores(StoreParameters(roots=(nas,), private_hosts=LOOPBACK))
    with web_server() as web:
        web.pages["/a.jpg"] = b"scan"
        on_nas = [scan(f"nas-{number}").model_copy(update={"uri": (nas / "a.jpg").as_uri()}) for number in range(20)]
        on_web = [scan(f"web-{number}").model_copy(update={"uri": web.uri("/a.jpg")}) for number in range(40)]
        publish(kafka, [*on_nas, *on_web])
        restore = restore_step(stores, threading.Event())
        with running_transform(kafka, DETECT, restore), lag_reader(kafka) as lags:
            wait_until(lambda: len(times_analysed(kafka, "web-")) == 40, "the scans of the other store")
            # Those of the first batches may be noted before the others are read.
            line = f"20 scans wait for {nas}: the folder {nas} is not there"
            wait_until(lambda: [one.line for one in waits.decode(lags.all_checkpoint_metadata(DETECT))] == [line], line)
            assert lags.lags(STAGES)[DETECT] >= 20
            assert times_analysed(kafka, "nas-") == Counter()
        nas.mkdir()
        with running_transform(kafka, DETECT, restore), lag_reader(kafka) as lags:
            time.sleep(2)
            # An empty mount point.
            assert times_analysed(kafka, "nas-") == Counter()
            (nas / "a.jpg").write_bytes(b"scan")
            wait_until(lambda: len(times_analysed(kafka, "nas-")) == 20, "the scans of the store that is back")
            wait_until(lambda: lags.lags({DETECT: STAGES[DETECT]})[DETECT] == 0, "no lag")
            wait_until(lambda: lags.all_checkpoint_metadata(DETECT) == [], "no note of the outage")
    assert set(times_analysed(kafka, "nas-").values()) == {1}
    assert set(times_analysed(kafka, "web-")) == {one.scan_id for one in on_web}


@pytest.mark.parametrize("path", ["/hang", "/trickle"])
def test_a_scan_that_hangs_delays_others_by_its_deadline_only(kafka: KafkaSettings, path: str) -> None:
    stores = Stores(StoreParameters(private_hosts=LOOPBACK, deadline_s=0.5))
    with web_server() as web:
        web.pages["/a.jpg"] = b"scan"
        name = path[1:]
        uris = [web.uri(path), *[web.uri("/a.jpg")] * 8]
        publish(kafka, [scan(f"{name}-{number}").model_copy(update={"uri": uri}) for number, uri in enumerate(uris)])
        with running_transform(kafka, name, restore_step(stores, threading.Event())):
            wait_until(
                lambda: len(times_analysed(kafka, f"{name}-")) == 8, "the scans beside the one that hangs", within_s=15
            )


@pytest.mark.process
def test_a_consumer_whose_broker_vanishes_stops_in_seconds_when_asked_and_loses_nothing(
    kafka: KafkaSettings, tmp_path: Path
) -> None:
    settings = Settings.model_validate({"data": tmp_path, "kafka": kafka.model_dump()})
    broker = _listening_at(int(str(kafka.bootstrap_servers).rpartition(":")[2]))
    scans = [one_face_scan(number, vector) for number, vector in enumerate(people(400, a_person=4, seed=3))]
    with consumers(settings) as started:
        started.start("index")
        started.wait_until_taking_part("index")
        publish(kafka, scans)
        time.sleep(0.2)
        broker.suspend()
        try:
            process = started.processes["index", "0"]
            process.terminate()
            # Waiting for a commit took a minute.
            process.join(timeout=20)
            # 1 where it was in the middle of something: mostly so, but some machines are done by then.
            assert process.exitcode in (0, 1)
        finally:
            broker.resume()
        last_line = started.log("index", "0").read_text().splitlines()[-1]
        assert (
            process.exitcode == 0
            or last_line == f"facestream: the Kafka broker at {kafka.bootstrap_servers} does not answer: {_ENDS}"
        )
        started.start("index")
        wait_until_done(kafka, {INDEX: STAGES[INDEX]})
    found = [it.message.scan_id for it in read_to_end(kafka, NEIGHBOURS) if isinstance(it.message, NeighboursFound)]
    assert {one.scan_id for one in scans} <= set(found)


def test_a_member_whose_broker_is_away_is_not_ready_and_then_ends_with_a_line_that_says_so(
    kafka: KafkaSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stream_member, "_AWAY_AFTER_S", 3.0)
    monkeypatch.setattr(stream_member, "_LONGEST_SILENCE_S", 6.0)
    monkeypatch.setattr(stream_member, "_ANSWERS_WITHIN_S", 1.0)
    broker = _listening_at(int(str(kafka.bootstrap_servers).rpartition(":")[2]))
    member = Member(kafka, "away", "0", [SCANS], threading.Event())

    def is_ready_after_a_poll() -> bool:
        member.poll(1)
        return health.is_ready

    health.ready()
    try:
        wait_until(lambda: is_ready_after_a_poll() and member.assigned, "it is not ready")
        broker.suspend()
        wait_until(lambda: not health.is_ready, "it is ready, and asks nothing")
        broker.resume()
        wait_until(is_ready_after_a_poll, "it is not ready again")
        broker.suspend()
        away = rf"^the Kafka broker at {kafka.bootstrap_servers} has not answered away-0 for 6 s: start it again"
        with pytest.raises(Fatal, match=away):
            wait_until(lambda: is_ready_after_a_poll() and False, "it polls for ever", within_s=120)
    finally:
        broker.resume()
        member.close()
    health.ready()
    assert health.is_ready


_ENDS = "index ends where it is"


def _listening_at(port: int) -> psutil.Process:
    listening = (it for it in psutil.net_connections("tcp") if it.status == psutil.CONN_LISTEN)
    (found,) = (it for it in listening if getattr(it.laddr, "port", None) == port)
    return psutil.Process(found.pid)
