"""The pure chain from a picture to its faces: detect, align, embed, name."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt
from PIL import Image
from scipy import ndimage

from models import weights
from models.dlib_engine import DlibDetector, DlibEmbedder, DlibLandmarks
from models.face_ids import face_ids
from models.images import RgbImage
from models.jitter import jittered
from models.onnx_engine import OnnxDetector, OnnxEmbedder
from models.onnx_session import Execution
from models.protocols import Chip, Detection, Detector, Embedder, LandmarkPredictor, Points
from schemas import defaults
from schemas.faces import Face, Provenance, Quality, ScanAnalysed
from schemas.scans import Box, ScanPublished


@dataclass(frozen=True)
class EngineParameters:
    """Which engine, with which weights and settings. A path of None is the published file.

    The provider and the threads of a call (0: as many as there are cores) are those of ONNX Runtime.
    """

    engine: Literal["onnx", "dlib"] = defaults.ENGINE
    provider: str = defaults.PROVIDER
    threads: int = 0
    upsample: int = defaults.UPSAMPLE
    max_size: int = defaults.MAX_SIZE
    threshold: float = defaults.THRESHOLD
    jitter: int = defaults.JITTER
    detector_path: Path | None = None
    landmarks_path: Path | None = None
    embedder_path: Path | None = None


@dataclass(frozen=True)
class Engine:
    """The networks of one process, loaded, and where they come from."""

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
    )
    # Landmarks and chips are dlib's with either engine: they are a matter of milliseconds.
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
class _Found:
    """What is on a scan, in pixels of it, all but the embeddings."""

    scan: ScanPublished
    width: int
    height: int
    faces: Sequence[Detection]
    points: Sequence[Points]
    chips: Sequence[Chip]


def analyse_scans(engine: Engine, scans: Iterable[tuple[ScanPublished, RgbImage]]) -> list[ScanAnalysed]:
    """All faces of each scan, with its picture as a person sees it.

    Pictures are taken as they are needed: only those that the detector takes at once are held together. All their faces
    go through the embedder together. Raises models.onnx_session.NetworkFailed.
    """
    found: list[_Found] = []
    waiting = iter(scans)
    while next_found := _find(engine, waiting):
        found += next_found
    vectors = iter(_embed(engine, [chip for it in found for chip in it.chips]))
    return [_analysed(engine, it, list(islice(vectors, len(it.chips)))) for it in found]


def _find(engine: Engine, waiting: Iterator[tuple[ScanPublished, RgbImage]]) -> list[_Found]:
    """Take as many scans as the detector takes; detect on them scaled down to max_size, align on them as they are."""
    scans = list(islice(waiting, engine.detector.at_once))
    small = [scaled_down(image, engine.provenance.max_size) for _, image in scans]
    detected = engine.detector.detect(small, engine.provenance.upsample)
    found: list[_Found] = []
    for (scan, image), searched, detections in zip(scans, small, detected, strict=True):
        faces = [_scaled_up(it, searched, image) for it in detections]
        aligned = [engine.predictor.align(image, it) for it in faces]
        points, chips = [it for it, _ in aligned], [it for _, it in aligned]
        found.append(_Found(scan, image.shape[1], image.shape[0], faces, points, chips))
    return found


def _analysed(engine: Engine, found: _Found, vectors: Sequence[npt.NDArray[np.float32]]) -> ScanAnalysed:
    scan, width, height = found.scan, found.width, found.height
    boxes = [_relative(it, width, height) for it in found.faces]
    ids = face_ids(scan, found.faces, boxes)
    faces = [
        Face(
            face_id=face_id,
            box=box,
            landmarks=tuple((x / width, y / height) for x, y in points.tolist()),
            score=detection.score,
            quality=_quality(detection, chip),
            embedding=vector.astype("<f4").tobytes(),
        )
        for face_id, box, detection, points, chip, vector in zip(
            ids, boxes, found.faces, found.points, found.chips, vectors, strict=True
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


def scaled_down(image: RgbImage, max_size: int) -> RgbImage:
    """The picture as it is searched: its longer side at most `max_size` pixels."""
    height, width = image.shape[:2]
    scale = min(1.0, max_size / max(height, width))
    if scale == 1.0:
        return image
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    return np.asarray(Image.fromarray(image).resize(size, Image.Resampling.BOX, reducing_gap=2.0))


def _scaled_up(face: Detection, searched: RgbImage, image: RgbImage) -> Detection:
    """A face on the picture that was searched as one on the scan."""
    (height, width), (rows, columns) = image.shape[:2], searched.shape[:2]
    return Detection(
        round(face.left * width / columns),
        round(face.top * height / rows),
        round(face.right * width / columns),
        round(face.bottom * height / rows),
        face.score,
    )


def _embed(engine: Engine, chips: Sequence[Chip]) -> npt.NDArray[np.float32]:
    """An embedding for each chip, or the mean of its jittered versions' where that is asked for."""
    jitter = engine.provenance.jitter
    if jitter == 0 or not chips:
        return engine.embedder.embed(chips)
    vectors = engine.embedder.embed([version for chip in chips for version in jittered(chip, jitter)])
    means: npt.NDArray[np.float32] = vectors.reshape(len(chips), jitter, -1).mean(axis=1)
    return means


def _relative(face: Detection, width: int, height: int) -> Box:
    return Box(left=face.left / width, top=face.top / height, right=face.right / width, bottom=face.bottom / height)


def _quality(face: Detection, chip: Chip) -> Quality:
    gray = chip.astype(np.float32) @ np.array([0.299, 0.587, 0.114], dtype=np.float32)
    return Quality(
        size_px=min(face.right - face.left, face.bottom - face.top),
        sharpness=float(ndimage.laplace(gray).var()),
    )
