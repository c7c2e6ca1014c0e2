"""The detect consumer: `scans` in, `faces` out. It scales by members of its group."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from datetime import datetime

from consumers import stages
from consumers.detection import Detection
from consumers.workers import Workers
from errors import Fatal
from models.analyse import EngineParameters
from models.onnx_session import EngineError, accelerated
from models.stores.parameters import StoreParameters
from models.stores.stores import Stores
from schemas.topics import SCANS
from settings import Settings
from stream.records import Positions, RestoredStep
from stream.transform import transform

GROUP = stages.DETECT

# Batches are small, so that a member that is killed repeats little work.
_SCANS_PER_PROCESS = 8
_SCANS_PER_WORKER_THREAD = 16
# Each needs some 250 MB before its first scan. With more cores, a process has more threads of ONNX Runtime.
_MOST_PROCESSES = 8
# More of them would wait for the accelerator. Each needs the memory of a large scan.
_MOST_WORKER_THREADS = 8


def run(settings: Settings, member: str, stop: threading.Event, clock: Callable[[], datetime]) -> None:
    """Run until `stop` is set. Raises errors.Fatal."""
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
    with Workers(parameters, processes, worker_threads, stores, models.decode_deadline_s) as workers:

        def restore_step(_: Positions) -> RestoredStep:
            # Scans that waited are read again: their offsets are not committed.
            detection = Detection(workers.analyse, Stores(stores).store_of, stop)
            return RestoredStep(detection.step, idle=detection.idle, hold=detection.hold)

        transform(
            settings.kafka,
            GROUP,
            member,
            [SCANS],
            restore_step,
            max_records=max_records,
            stop=stop,
            clock=clock,
        )
