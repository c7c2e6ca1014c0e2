"""An outage on a real broker: what waits is not lost, what does not wait goes on, and both can be seen."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from consumers import waits
from consumers.detection import Detection
from consumers.stages import DETECT, STAGES
from consumers.workers import Outcome, Unreached
from models.stores.errors import StoreUnavailable
from models.stores.parameters import StoreParameters
from models.stores.stores import Stores
from schemas.faces import Provenance, ScanAnalysed
from schemas.scans import ScanPublished
from settings import KafkaSettings
from stream.lag import lag_reader
from stream.records import Positions, RestoredStep
from tests.builders.clock import wait_until
from tests.builders.kafka import publish
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
            wait_until(lambda: bool(lags.all_checkpoint_metadata(DETECT)), "what is waited for")
            (wait,) = waits.decode(lags.all_checkpoint_metadata(DETECT))
            assert wait.line == f"20 scans wait for {nas}: the folder {nas} is not there"
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
