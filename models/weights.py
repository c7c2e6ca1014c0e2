"""The weight files: located in the face_recognition_models wheel without importing it, and identified by sha256."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from errors import FacestreamError
from schemas.base import DLIB_EMBEDDER

DETECTOR = "mmod_human_face_detector.dat"
LANDMARKS = "shape_predictor_5_face_landmarks.dat"
EMBEDDER = "dlib_face_recognition_resnet_model_v1.dat"

PINNED = {
    DETECTOR: "4cb19393e2fbaf2b1609a9319ad5386618c886a6234ec1b971f3e87c85d87fe6",
    LANDMARKS: "c4b1e9804792707d3a405c2c16a80a20269e6675021f64a41d30fffafbc41888",
    EMBEDDER: DLIB_EMBEDDER,
}


class WeightsError(FacestreamError):
    """A weight file is missing, or is not the file it should be. The text gives the reason."""


@dataclass(frozen=True)
class WeightFile:
    """A weight file and the sha256 (64 hexadecimal digits) of its content."""

    path: Path
    sha256: str


def weight_file(name: str, path: Path | None = None) -> WeightFile:
    """The published file `name`, checked against its pinned sha256, or the file at `path` with its own sha256.

    `name` is DETECTOR, LANDMARKS or EMBEDDER; with a path, any. Raises WeightsError when the file is missing, cannot be
    read, or is a published file with another checksum.
    """
    file = path or _published(name)
    try:
        digest = hashlib.sha256(file.read_bytes()).hexdigest()
    except OSError as error:
        raise WeightsError(f"the weights {file} cannot be read: {error.strerror}") from error
    if path is None and digest != PINNED[name]:
        raise WeightsError(f"{file} is not the published {name}: install face_recognition_models again")
    return WeightFile(file, digest)


def _published(name: str) -> Path:
    # Importing the package fails with new setuptools (it imports pkg_resources), so only its folder is looked up.
    spec = find_spec("face_recognition_models")
    if spec is None or spec.origin is None:
        raise WeightsError("the weights are missing: pip install face_recognition_models")
    return Path(spec.origin).parent / "models" / name
