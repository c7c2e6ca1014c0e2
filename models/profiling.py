"""An engine whose stages are timed, and whose memory is watched. Nothing else of it changes.

`facestream profile` and the workers of detect time the same stages with it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt

from models.analyse import Engine
from models.pixels import RgbImage
from models.protocols import Chip, Detection, Detector, Embedder, LandmarkPredictor, Points

READING, DECODING = "reading", "decoding"
DETECTION, LANDMARKS, EMBEDDING = "detection", "landmarks and chip", "embedding"
REST = "rest of the analysis"

ANALYSIS = {READING: "scan", DECODING: "scan", DETECTION: "scan", LANDMARKS: "face", EMBEDDING: "face", REST: "scan"}
"""The stages of an analysis in their order, and what each is counted in."""


@dataclass
class Usage:
    """What a stage has taken.

    seconds: elapsed. cpu_seconds: processor time of all threads. grown: by how many bytes the memory of the process has
    grown meanwhile.
    """

    seconds: float = 0.0
    cpu_seconds: float = 0.0
    grown: int = 0

    def add(self, other: Usage, sign: int = 1) -> None:
        """Add what another one has taken, or subtract it with a sign of -1."""
        self.seconds += sign * other.seconds
        self.cpu_seconds += sign * other.cpu_seconds
        self.grown += sign * other.grown


@dataclass
class StageClock:
    """Time and growth of memory by stage. A stage within another one counts for itself alone. For one thread.

    resident: the memory of this process, in bytes. usage: by the name of the stage. blocks: the stage and the seconds
    of each block that was counted.
    """

    resident: Callable[[], int] = lambda: 0
    usage: dict[str, Usage] = field(default_factory=dict)
    blocks: list[tuple[str, float]] = field(default_factory=list)
    _inner: list[Usage] = field(default_factory=list)

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Count a block as a part of this stage."""
        self._inner.append(Usage())
        before = self._now()
        try:
            yield
        finally:
            taken = self._now()
            taken.add(before, -1)
            inner = self._inner.pop()
            if self._inner:
                self._inner[-1].add(taken)
            taken.add(inner, -1)
            self.usage.setdefault(name, Usage()).add(taken)
            self.blocks.append((name, taken.seconds))

    def _now(self) -> Usage:
        return Usage(time.perf_counter(), time.process_time(), self.resident())


def timed(engine: Engine, clock: StageClock) -> Engine:
    """The engine, whose stages the clock counts."""
    return replace(
        engine,
        detector=_TimedDetector(engine.detector, clock),
        predictor=_TimedPredictor(engine.predictor, clock),
        embedder=_TimedEmbedder(engine.embedder, clock),
    )


class _TimedDetector:
    def __init__(self, detector: Detector, clock: StageClock) -> None:
        self._detector, self._clock = detector, clock
        self.batch_size = detector.batch_size

    def detect(self, images: Sequence[RgbImage], upsample: int) -> list[list[Detection]]:
        with self._clock.stage(DETECTION):
            return self._detector.detect(images, upsample)


class _TimedPredictor:
    def __init__(self, predictor: LandmarkPredictor, clock: StageClock) -> None:
        self._predictor, self._clock = predictor, clock

    def align(self, image: RgbImage, face: Detection) -> tuple[Points, Chip]:
        with self._clock.stage(LANDMARKS):
            return self._predictor.align(image, face)


class _TimedEmbedder:
    def __init__(self, embedder: Embedder, clock: StageClock) -> None:
        self._embedder, self._clock = embedder, clock

    def embed(self, chips: Sequence[Chip]) -> npt.NDArray[np.float32]:
        with self._clock.stage(EMBEDDING):
            return self._embedder.embed(chips)
