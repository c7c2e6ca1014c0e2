"""The detect consumer: `scans` in, `faces` out. It holds no state; it scales by members of its group."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Sequence
from datetime import datetime

from consumers import stages
from consumers.workers import Outcome, Unusable, Workers
from errors import Fatal
from models.analyse import EngineParameters
from models.onnx_session import EngineError, accelerated
from schemas.scans import ScanPublished
from schemas.topics import FACES, SCANS, Tombstone
from settings import Settings
from stream.records import Output, Received, Rejected, RestoredStep
from stream.transform import transform

GROUP = stages.DETECT

Analyse = Callable[[Sequence[ScanPublished]], Sequence[Outcome]]
"""Analyses scans: an outcome for each, in their order."""

# Batches are small, so that a member that dies has little to do again.
_SCANS_PER_PROCESS = 8
_SCANS_PER_LANE = 16
# Each needs some 250 MB before its first scan. With more cores, a process has more threads.
_MOST_PROCESSES = 8
# More of them would wait for the accelerator. Each needs the memory of a large scan.
_MOST_LANES = 8


def step(analyse: Analyse, batch: Sequence[Received]) -> list[Output]:
    """Analyse what was published, pass withdrawals on, in the order in which they were said."""
    scans = [it.message for it in batch if isinstance(it.message, ScanPublished)]
    outcomes = iter(analyse(scans))
    said: list[Output] = []
    for received in batch:
        if isinstance(received.message, Tombstone):
            said.append(Tombstone(FACES, received.message.key))
            continue
        outcome = next(outcomes)
        said.append(Rejected(received, outcome.reason) if isinstance(outcome, Unusable) else outcome)
    return said


def run(settings: Settings, member: str, stop: threading.Event, clock: Callable[[], datetime]) -> None:
    """Run until `stop` is set. Raises errors.Fatal."""
    models = settings.models
    cores = os.cpu_count() or 1
    try:
        on_accelerator = models.engine == "onnx" and accelerated(models.provider)
    except EngineError as error:
        raise Fatal(str(error)) from error
    if on_accelerator:
        processes, lanes, threads = models.processes or 1, max(2, min(cores, _MOST_LANES)), 1
        max_records = _SCANS_PER_LANE * lanes * processes
    else:
        # A process a core: what it does besides the networks then needs no core of its own (docs/performance.md).
        processes, lanes = models.processes or min(cores, _MOST_PROCESSES), 1
        threads = max(1, cores // processes)
        max_records = _SCANS_PER_PROCESS * processes
    parameters = EngineParameters(**models.model_dump(exclude={"processes"}), threads=threads)
    # What is wrong with the weights or the provider shows on entering, as one line.
    with Workers(parameters, processes, lanes) as workers:
        transform(
            settings.kafka,
            GROUP,
            member,
            [SCANS],
            lambda _: RestoredStep(lambda batch: step(workers.analyse, batch)),
            max_records=max_records,
            stop=stop,
            clock=clock,
        )
