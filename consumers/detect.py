"""The detect consumer: `scans` in, `faces` out. It scales by members of its group.

That of a generation with an embedder of its own reads `faces` instead, and embeds the faces on them again: what is a
face, where it is and what it is called is the archive's, so that decisions, erasures and withdrawals count in it too.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from consumers.detection import Detection
from consumers.erased import ErasedFaces, without_kept_only
from consumers.workers import Outcome, Workers
from errors import Fatal
from models.analyse import EngineParameters
from models.embed_again import ScanWithFaces
from models.onnx_session import EngineError, accelerated
from models.stores.parameters import StoreParameters
from models.stores.stores import Stores
from schemas.faces import ScanAnalysed
from schemas.scans import ScanPublished
from schemas.topics import FACES, SCANS, Tombstone, Topic, of_generation
from settings import Settings
from stream import stages
from stream.erasures import Erasures
from stream.generations import group_of
from stream.pace import Pace
from stream.records import Output, Positions, Received, RestoredStep
from stream.topics import ensure_topics
from stream.transform import transform
from telemetry import metrics

GROUP = stages.DETECT

# Batches are small, so that a member that is killed repeats little work.
_SCANS_PER_PROCESS = 8
_SCANS_PER_WORKER_THREAD = 16
# Each needs some 250 MB before its first scan. With more cores, a process has more threads of ONNX Runtime.
_MOST_PROCESSES = 8
# More of them would wait for the accelerator. Each needs the memory of a large scan.
_MOST_WORKER_THREADS = 8


ScansOf = Callable[[Collection[str]], Mapping[str, ScanPublished]]
"""The scans of these ids as they are published now; those that are not are left out."""


def run(settings: Settings, member: str, stop: threading.Event, clock: Callable[[], datetime]) -> None:
    """Run until `stop` is set. Raises errors.Fatal."""
    _run(settings, member, stop, clock, GROUP, SCANS, without_kept_only)


def run_again(
    settings: Settings,
    member: str,
    stop: threading.Event,
    clock: Callable[[], datetime],
    generation: str,
    scans_of: ScansOf,
    max_rate: float | None = None,
) -> None:
    """Run for a generation with an embedder of its own, that of the settings, until `stop` is set.

    scans_of: where the pictures are. max_rate: so many scans a second are taken at most. Raises errors.Fatal.
    """
    ensure_topics(settings.kafka, (of_generation(FACES, generation),))
    pace = Pace(max_rate, stop)

    def with_scans(batch: Sequence[Received]) -> list[Received]:
        chosen = to_embed_again(batch, scans_of)
        pace.take(len(chosen))
        return chosen

    _run(settings, member, stop, clock, group_of(GROUP, generation), FACES, with_scans, generation)


def to_embed_again(batch: Sequence[Received], scans_of: ScansOf) -> list[Received]:
    """The records of `faces` as those of scans that come with their faces; of several of a scan, the last one.

    A scan that was withdrawn meanwhile is left out, as is one whose picture is another one by now: that is analysed
    again, which is a later record.
    """
    latest = {one.message.key: one for one in batch if isinstance(one.message, ScanAnalysed | Tombstone)}
    scans = scans_of([key for key, one in latest.items() if isinstance(one.message, ScanAnalysed)])
    chosen = []
    for key, one in latest.items():
        scan, analysis = scans.get(key), one.message
        if isinstance(analysis, Tombstone):
            chosen.append(one)
        elif isinstance(analysis, ScanAnalysed) and scan is not None and scan.sha256 == analysis.sha256:
            chosen.append(replace(one, message=ScanWithFaces.of(scan, analysis)))
    return chosen


def _run(
    settings: Settings,
    member: str,
    stop: threading.Event,
    clock: Callable[[], datetime],
    group: str,
    topic: Topic,
    chosen: Callable[[Sequence[Received]], list[Received]],
    generation: str | None = None,
) -> None:
    """chosen: the records of a batch of the topic that are to be analysed, or withdrawn."""
    models = settings.models
    cores = os.cpu_count() or 1
    try:
        on_accelerator = models.engine == "onnx" and accelerated(models.provider)
    except EngineError as error:
        raise Fatal(str(error)) from error
    if on_accelerator:
        processes, worker_threads, threads = models.processes or 1, max(2, min(cores, _MOST_WORKER_THREADS)), 1
        max_records = _SCANS_PER_WORKER_THREAD * worker_threads * processes
    else:
        # One process a core: its work outside of the networks then needs no further core (docs/performance.md).
        processes, worker_threads = models.processes or min(cores, _MOST_PROCESSES), 1
        threads = max(1, cores // processes)
        max_records = _SCANS_PER_PROCESS * processes
    parameters = EngineParameters(**models.model_dump(exclude={"processes", "decode_deadline_s"}), threads=threads)
    stores = StoreParameters.of(settings.stores.model_dump(), settings.data)
    # Entering raises Fatal where the weights or the provider cannot be used.
    with (
        Workers(parameters, processes, worker_threads, stores, models.decode_deadline_s) as workers,
        Erasures(settings.kafka, look_every_s=0.0) as erasures,
    ):
        erased = ErasedFaces(settings, erasures)

        def analyse(scans: Sequence[ScanPublished]) -> list[Outcome]:
            # What was erased meanwhile is known when the analysis is done.
            outcomes = workers.analyse(scans)
            return [
                erased.without(outcome, scan) if isinstance(outcome, ScanAnalysed) else outcome
                for outcome, scan in zip(outcomes, scans, strict=True)
            ]

        def restore_step(_: Positions) -> RestoredStep:
            # Scans that waited are read again: their offsets are not committed.
            detection = Detection(analyse, Stores(stores).store_of, stop)

            def step(batch: Sequence[Received]) -> list[Output]:
                return _counted(detection, detection.step(chosen(batch)))

            def idle(metadata: str) -> tuple[list[Output], str]:
                outputs, waits = detection.idle(metadata)
                return _counted(detection, outputs), waits

            return RestoredStep(step, idle=idle, hold=detection.hold, held=detection.waiting_scans)

        transform(
            settings.kafka,
            group,
            member,
            [topic],
            restore_step,
            max_records=max_records,
            stop=stop,
            clock=clock,
            generation=generation,
            start_over=lambda _: f"what is left of it is read; {topic.way_back}, so that no scan is missing",
        )


def _counted(detection: Detection, outputs: list[Output]) -> list[Output]:
    analysed = [output for output in outputs if isinstance(output, ScanAnalysed)]
    metrics.scans_analysed.inc(len(analysed))
    metrics.faces_found.inc(sum(len(scan.faces) for scan in analysed))
    metrics.scans_waiting.set(detection.waiting)
    return outputs
