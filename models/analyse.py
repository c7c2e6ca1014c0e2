"""The pure chain from a picture to its faces: detect, align, embed, name."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt
from PIL import Image
from scipy import ndimage

from models import weights
from models.dlib_engine import DlibDetector, DlibEmbedder, DlibLandmarks
from models.images import RgbImage
from models.jitter import jittered
from models.onnx_engine import Execution, OnnxDetector, OnnxEmbedder
from models.protocols import Chip, Detection, Detector, Embedder, LandmarkPredictor
from schemas.faces import Face, Provenance, Quality, ScanAnalysed
from schemas.scans import Box, KeptFace, ScanPublished

# A face found again is the same face from this overlap on.
_SAME_FACE_IOU = 0.5


@dataclass(frozen=True)
class EngineParameters:
    """Which engine, with which weights and settings. A path of None is the published file.

    The provider and the threads of a call (0: as many as there are cores) are those of ONNX Runtime.
    """

    engine: Literal["onnx", "dlib"] = "onnx"
    provider: str = "auto"
    threads: int = 0
    upsample: int = 1
    max_size: int = 2000
    threshold: float = 0.0
    jitter: int = 0
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
    """Load the networks. Raises models.weights.WeightsError and models.onnx_engine.EngineError."""
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


def analyse_scan(engine: Engine, scan: ScanPublished, image: RgbImage) -> ScanAnalysed:
    """All faces of a scan. `image` is the scan as a person sees it."""
    height, width = image.shape[:2]
    found = _detect(engine, image)
    chips = [engine.predictor.chip(image, it) for it in found]
    vectors = _embed(engine, chips)
    boxes = [_relative(it, width, height) for it in found]
    ids = _name(scan, found, boxes)
    faces = [
        Face(
            face_id=face_id,
            box=box,
            landmarks=tuple((x / width, y / height) for x, y in engine.predictor.landmarks(image, detection).tolist()),
            score=detection.score,
            quality=_quality(detection, chip),
            embedding=vector.astype("<f4").tobytes(),
        )
        for face_id, box, detection, chip, vector in zip(ids, boxes, found, chips, vectors, strict=True)
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


def _detect(engine: Engine, image: RgbImage) -> list[Detection]:
    """Detect on the scan scaled down to max_size; boxes are in pixels of the scan."""
    height, width = image.shape[:2]
    scale = min(1.0, engine.provenance.max_size / max(height, width))
    if scale == 1.0:
        return engine.detector.detect(image, engine.provenance.upsample)
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    small = np.asarray(Image.fromarray(image).resize(size, Image.Resampling.BOX, reducing_gap=2.0))
    return [
        Detection(
            round(it.left * width / size[0]),
            round(it.top * height / size[1]),
            round(it.right * width / size[0]),
            round(it.bottom * height / size[1]),
            it.score,
        )
        for it in engine.detector.detect(small, engine.provenance.upsample)
    ]


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


def _name(scan: ScanPublished, found: Sequence[Detection], boxes: Sequence[Box]) -> list[str]:
    """A face found again keeps its id, best overlap first; another's id is made of the scan's id and its box."""
    kept = _kept(scan.keep, boxes)
    taken = {face.face_id for face in scan.keep}
    ids = []
    for number, face in enumerate(found):
        face_id = kept.get(number) or _new_id(scan.scan_id, face, taken)
        taken.add(face_id)
        ids.append(face_id)
    return ids


def _kept(keep: Sequence[KeptFace], boxes: Sequence[Box]) -> dict[int, str]:
    overlaps = sorted(
        (-box.overlap(face.box), face.face_id, number) for number, box in enumerate(boxes) for face in keep
    )
    kept: dict[int, str] = {}
    for overlap, face_id, number in overlaps:
        if -overlap >= _SAME_FACE_IOU and number not in kept and face_id not in kept.values():
            kept[number] = face_id
    return kept


def _new_id(scan_id: str, face: Detection, taken: set[str]) -> str:
    text = f"{scan_id}\n{face.left},{face.top},{face.right},{face.bottom}"
    while (face_id := hashlib.sha256(text.encode()).hexdigest()[:20]) in taken:
        text += "'"
    return face_id
