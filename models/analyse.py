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
from models.described_embedder import DescribedEmbedder
from models.descriptions import DLIB, Space, detector_description, embedder_description, space_of
from models.dlib_engine import DlibDetector, DlibEmbedder, DlibLandmarks
from models.face_ids import face_ids
from models.jitter import jittered
from models.onnx_engine import OnnxDetector, OnnxEmbedder
from models.onnx_session import Execution
from models.pixels import RgbImage
from models.point_alignment import DetectedLandmarks, PointAligner
from models.point_detector import PointDetector
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
    wanted, in pixels of the scan (0: what max_size and upsample find). detector, embedder: dlib, a preset or a TOML
    file (models.descriptions). Paths are weight files; None is the published one, or the one that is described.
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
    detector: str = DLIB
    embedder: str = DLIB
    detector_path: Path | None = None
    landmarks_path: Path | None = None
    embedder_path: Path | None = None


@dataclass(frozen=True)
class Engine:
    """The loaded networks of one process, the provenance that their analyses carry, and the embeddings' space."""

    detector: Detector
    predictor: LandmarkPredictor
    embedder: Embedder
    provenance: Provenance
    space: Space


def load_engine(parameters: EngineParameters) -> Engine:
    """Load the networks. Raises models.weights.WeightsError and models.onnx_session.EngineError."""
    detector, detector_id = _detector(parameters)
    predictor, landmarks_id = _predictor(parameters, detector_id)
    space = space_of(parameters.embedder, parameters.embedder_path)
    provenance = Provenance(
        engine=parameters.engine,
        detector=detector_id,
        landmarks=landmarks_id,
        embedder=space.embedder,
        upsample=parameters.upsample,
        max_size=parameters.max_size,
        threshold=parameters.threshold,
        jitter=parameters.jitter,
        turns=parameters.turns,
        negatives=parameters.negatives,
        min_face_px=parameters.min_face_px,
    )
    return Engine(detector, predictor, _embedder(parameters), provenance, space)


def _execution(parameters: EngineParameters) -> Execution:
    # The engine dlib is the reference on the CPU; described networks run on ONNX Runtime beside it too.
    return Execution("cpu" if parameters.engine == "dlib" else parameters.provider, parameters.threads)


def _detector(parameters: EngineParameters) -> tuple[Detector, str]:
    """The detector, and the sha256 of its file."""
    described = detector_description(parameters.detector, parameters.detector_path)
    if described is not None:
        return PointDetector(described, parameters.threshold, _execution(parameters)), described.weights().sha256
    file = weights.weight_file(weights.DETECTOR, parameters.detector_path)
    if parameters.engine == "dlib":
        return DlibDetector(file, parameters.threshold), file.sha256
    return OnnxDetector(file, parameters.threshold, _execution(parameters)), file.sha256


def _predictor(parameters: EngineParameters, detector_id: str) -> tuple[LandmarkPredictor, str]:
    """What finds landmarks and cuts chips out by them, and the sha256 of its file."""
    described = embedder_description(parameters.embedder, parameters.embedder_path)
    targets = described.targets if described is not None else None
    if parameters.detector != DLIB:
        if described is None or targets is None:
            name = DLIB if described is None else described.name
            raise weights.WeightsError(
                f"the embedder {name} needs chips cut out by dlib's landmarks, and the detector {parameters.detector} "
                "finds landmarks of its own: set the detector dlib, or an embedder whose description has targets"
            )
        return PointAligner(DetectedLandmarks(), targets, described.size), detector_id
    file = weights.weight_file(weights.LANDMARKS, parameters.landmarks_path)
    # Both engines use dlib for landmarks and chips: these take about a millisecond per face.
    predictor = DlibLandmarks(file)
    if described is None or targets is None:
        return predictor, file.sha256
    return PointAligner(predictor, targets, described.size), file.sha256


def _embedder(parameters: EngineParameters) -> Embedder:
    described = embedder_description(parameters.embedder, parameters.embedder_path)
    if described is not None:
        return DescribedEmbedder(described, _execution(parameters))
    file = weights.weight_file(weights.EMBEDDER, parameters.embedder_path)
    return DlibEmbedder(file) if parameters.engine == "dlib" else OnnxEmbedder(file, _execution(parameters))


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
    embeddings = iter(embeddings_of(engine, [chip for scan in detected for chip in scan.chips]))
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
    ids = face_ids(scan, detections, boxes, embeddings, engine.space)
    faces = [
        Face(
            face_id=face_id,
            box=box,
            landmarks=relative_points(points, width, height),
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


def embeddings_of(engine: Engine, chips: Sequence[Chip]) -> npt.NDArray[np.float32]:
    """An embedding for each chip; with jitter, the mean of the embeddings of its jittered versions."""
    jitter = engine.provenance.jitter
    if jitter == 0 or not chips:
        return engine.embedder.embed(chips)
    embeddings = engine.embedder.embed([version for chip in chips for version in jittered(chip, jitter)])
    means: npt.NDArray[np.float32] = embeddings.reshape(len(chips), jitter, -1).mean(axis=1)
    return means


def relative_points(points: Points, width: int, height: int) -> tuple[tuple[float, float], ...]:
    """Landmarks relative to a scan of this width and height, as they are published."""
    return tuple((_near(x / width), _near(y / height)) for x, y in points.tolist())


def _near(place: float) -> float:
    return min(max(place, -2.0), 3.0)


def _relative(face: Detection, width: int, height: int) -> Box:
    # On a scan of a few pixels the detector's window is larger than the scan, and a box is at most from -1 to 2.
    left, right = (min(max(x / width, -1.0), 2.0) for x in (face.left, face.right))
    top, bottom = (min(max(y / height, -1.0), 2.0) for y in (face.top, face.bottom))
    return Box(left=left, top=top, right=right, bottom=bottom)


def _quality(face: Detection, chip: Chip) -> Quality:
    return Quality(size_px=min(face.right - face.left, face.bottom - face.top), sharpness=sharpness(chip))


def sharpness(chip: Chip) -> float:
    """See schemas.faces.Quality."""
    gray = chip.astype(np.float32) @ _LUMA
    return float(ndimage.laplace(gray).var())
