"""The pure chain from an image to its faces: detect, align, embed, identify."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from models import weights
from models.dlib_engine import DlibDetector, DlibEmbedder, DlibLandmarks
from models.face_ids import face_ids
from models.jitter import jittered
from models.onnx_engine import OnnxDetector, OnnxEmbedder
from models.onnx_session import Execution
from models.pixels import RgbImage
from models.protocols import Chip, Detection, Detector, Embedder, LandmarkPredictor, Points
from models.search import FoundFace, find_faces
from models.turns import align_turned
from schemas import defaults
from schemas.faces import Face, Provenance, Quality, ScanAnalysed
from schemas.scans import Box, ScanPublished

# ITU-R BT.601 luma of red, green, blue.
_LUMA = np.array([0.299, 0.587, 0.114], dtype=np.float32)
# Quarters as the degrees that are published.
_DEGREES: tuple[Literal[0, 90, 180, 270], ...] = (0, 90, 180, 270)


@dataclass(frozen=True)
class EngineParameters:
    """Which engine, with which weights and settings.

    provider, threads: ONNX Runtime's provider, and the threads of one call (0: as many as there are cores). upsample:
    how many times an image is doubled before detection. max_size: the longest side in pixels that is searched; larger
    images are scaled down. threshold: the score above which a detection is a face. jitter: how many jittered versions
    of a chip are embedded and averaged (0: the chip itself). turns: when faces are looked for in the other three turns
    of a scan. negatives: whether a scan without faces is searched as a negative too. min_face_px: the smallest face
    wanted, in pixels of the scan (0: what max_size and upsample find). Paths are weight files; None is the published
    one.
    """

    engine: Literal["onnx", "dlib"] = defaults.ENGINE
    provider: str = defaults.PROVIDER
    threads: int = 0
    upsample: int = defaults.UPSAMPLE
    max_size: int = defaults.MAX_SIZE
    threshold: float = defaults.THRESHOLD
    jitter: int = defaults.JITTER
    turns: Literal["fallback", "never", "always"] = defaults.TURNS
    negatives: bool = defaults.NEGATIVES
    min_face_px: int = defaults.MIN_FACE_PX
    detector_path: Path | None = None
    landmarks_path: Path | None = None
    embedder_path: Path | None = None


@dataclass(frozen=True)
class Engine:
    """The loaded networks of one process, and the provenance that their analyses carry."""

    detector: Detector
    predictor: LandmarkPredictor
    embedder: Embedder
    provenance: Provenance


def load_engine(parameters: EngineParameters) -> Engine:
    """Load the networks. Raises models.weights.WeightsError and models.onnx_session.EngineError."""
    detector = weights.weight_file(weights.DETECTOR, parameters.detector_path)
    landmarks = weights.weight_file(weights.LANDMARKS, parameters.landmarks_path)
    embedder = weights.weight_file(weights.EMBEDDER, parameters.embedder_path)
    provenance = Provenance(
        engine=parameters.engine,
        detector=detector.sha256,
        landmarks=landmarks.sha256,
        embedder=embedder.sha256,
        upsample=parameters.upsample,
        max_size=parameters.max_size,
        threshold=parameters.threshold,
        jitter=parameters.jitter,
        turns=parameters.turns,
        negatives=parameters.negatives,
        min_face_px=parameters.min_face_px,
    )
    # Both engines use dlib for landmarks and chips: these take about a millisecond per face.
    predictor = DlibLandmarks(landmarks)
    if parameters.engine == "dlib":
        return Engine(DlibDetector(detector, parameters.threshold), predictor, DlibEmbedder(embedder), provenance)
    execution = Execution(parameters.provider, parameters.threads)
    return Engine(
        OnnxDetector(detector, parameters.threshold, execution),
        predictor,
        OnnxEmbedder(embedder, execution),
        provenance,
    )


@dataclass(frozen=True)
class _DetectedScan:
    """The faces of a scan before they are embedded. Faces and landmarks are in pixels of the scan."""

    scan: ScanPublished
    width: int
    height: int
    faces: Sequence[FoundFace]
    landmarks: Sequence[Points]
    chips: Sequence[Chip]


def analyse_scans(engine: Engine, scans: Iterable[tuple[ScanPublished, RgbImage]]) -> list[ScanAnalysed]:
    """An analysis of each scan, in their order; each scan comes with its image, upright as a person sees it.

    Images are taken from `scans` as they are needed: only one batch of the detector is in memory at a time. The faces
    of all scans are embedded together. Raises models.onnx_session.NetworkFailed.
    """
    detected: list[_DetectedScan] = []
    remaining = iter(scans)
    while batch := _detect_batch(engine, remaining):
        detected += batch
    embeddings = iter(_embed(engine, [chip for scan in detected for chip in scan.chips]))
    return [_analysis(engine, scan, list(islice(embeddings, len(scan.chips)))) for scan in detected]


def _detect_batch(engine: Engine, remaining: Iterator[tuple[ScanPublished, RgbImage]]) -> list[_DetectedScan]:
    """Take one batch of scans and find their faces; an empty list at the end.

    Faces are searched on images scaled down to max_size, and aligned on the images as they are.
    """
    scans = list(islice(remaining, engine.detector.batch_size))
    found = find_faces(engine.detector, [image for _, image in scans], engine.provenance)
    batch: list[_DetectedScan] = []
    for (scan, image), faces in zip(scans, found, strict=True):
        aligned = [
            align_turned(engine.predictor, image, face.detection, face.turn, negative=face.negative) for face in faces
        ]
        landmarks, chips = [points for points, _ in aligned], [chip for _, chip in aligned]
        batch.append(_DetectedScan(scan, image.shape[1], image.shape[0], faces, landmarks, chips))
    return batch


def _analysis(engine: Engine, detected: _DetectedScan, embeddings: Sequence[npt.NDArray[np.float32]]) -> ScanAnalysed:
    scan, width, height = detected.scan, detected.width, detected.height
    detections = [face.detection for face in detected.faces]
    boxes = [_relative(detection, width, height) for detection in detections]
    ids = face_ids(scan, detections, boxes, embeddings, engine.provenance.embedder)
    faces = [
        Face(
            face_id=face_id,
            box=box,
            landmarks=tuple((x / width, y / height) for x, y in points.tolist()),
            score=face.detection.score,
            quality=_quality(face.detection, chip),
            embedding=embedding.astype("<f4").tobytes(),
            turn=_DEGREES[face.turn],
            negative=face.negative,
        )
        for face_id, box, face, points, chip, embedding in zip(
            ids, boxes, detected.faces, detected.landmarks, detected.chips, embeddings, strict=True
        )
    ]
    return ScanAnalysed(
        scan_id=scan.scan_id,
        sha256=scan.sha256,
        published_at=scan.published_at,
        width=width,
        height=height,
        provenance=engine.provenance,
        faces=tuple(faces),
    )


def _embed(engine: Engine, chips: Sequence[Chip]) -> npt.NDArray[np.float32]:
    """An embedding for each chip; with jitter, the mean of the embeddings of its jittered versions."""
    jitter = engine.provenance.jitter
    if jitter == 0 or not chips:
        return engine.embedder.embed(chips)
    embeddings = engine.embedder.embed([version for chip in chips for version in jittered(chip, jitter)])
    means: npt.NDArray[np.float32] = embeddings.reshape(len(chips), jitter, -1).mean(axis=1)
    return means


def _relative(face: Detection, width: int, height: int) -> Box:
    return Box(left=face.left / width, top=face.top / height, right=face.right / width, bottom=face.bottom / height)


def _quality(face: Detection, chip: Chip) -> Quality:
    gray = chip.astype(np.float32) @ _LUMA
    return Quality(
        size_px=min(face.right - face.left, face.bottom - face.top),
        sharpness=float(ndimage.laplace(gray).var()),
    )
