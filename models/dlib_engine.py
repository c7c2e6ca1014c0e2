"""The reference engine: dlib's own MMOD detector (King 2015), 5-point shape predictor (Kazemi and Sullivan 2014) and
face recognition ResNet (He et al. 2016; dlib's dnn_face_recognition_ex.cpp)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import dlib
import numpy as np
import numpy.typing as npt

from models.pixels import RgbImage
from models.protocols import CHIP_SIZE, Chip, Detection, Points
from models.weights import WeightFile, WeightsError
from schemas.faces import EMBEDDING_DIMENSIONS

# dlib's network raises an error for an image with a shorter side, in pixels.
_MIN_SIDE = 8
# Room around the face in a chip, as a share of the face's size: what dlib's compute_face_descriptor cuts out.
_CHIP_PADDING = 0.25
_LANDMARKS = 5


class DlibDetector:
    """dlib's cnn_face_detection_model_v1 (max-margin object detection, King 2015, arXiv:1502.00046)."""

    def __init__(self, weights: WeightFile, threshold: float) -> None:
        self._model = _loaded(dlib.cnn_face_detection_model_v1, weights, "a face detector")
        self._threshold = threshold
        self.batch_size = 1

    def detect(self, images: Sequence[RgbImage], upsample: int) -> list[list[Detection]]:
        """See Detector. dlib's own threshold is 0, so only a threshold above 0 has an effect."""
        return [self._faces(image, upsample) for image in images]

    def _faces(self, image: RgbImage, upsample: int) -> list[Detection]:
        if min(image.shape[:2]) < _MIN_SIDE:
            return []
        return [
            Detection(face.rect.left(), face.rect.top(), face.rect.right(), face.rect.bottom(), face.confidence)
            for face in self._model(image, upsample)
            if face.confidence > self._threshold
        ]


class DlibLandmarks:
    """dlib's shape predictor, an ensemble of regression trees (Kazemi and Sullivan 2014), and the chips cut by it."""

    def __init__(self, weights: WeightFile) -> None:
        """Raises WeightsError where the file has no shape predictor of five points."""
        self._model = _loaded(dlib.shape_predictor, weights, "a shape predictor")
        blank = self._shape(np.zeros((_MIN_SIDE, _MIN_SIDE, 3), dtype=np.uint8), Detection(0, 0, 4, 4, 0.0))
        if blank.num_parts != _LANDMARKS:
            raise WeightsError(
                f"{weights.path} finds {blank.num_parts} landmarks: a file for dlib's {_LANDMARKS} is needed"
            )

    def align(self, image: RgbImage, face: Detection) -> tuple[Points, Chip]:
        """See LandmarkPredictor."""
        shape = self._shape(image, face)
        # The similarity transform that brings the points nearest to their mean positions, sampled bilinearly
        # (dlib's get_face_chip_details and extract_image_chip).
        chip: Chip = dlib.get_face_chip(image, shape, size=CHIP_SIZE, padding=_CHIP_PADDING)
        return _points(shape), chip

    def landmarks(self, image: RgbImage, face: Detection) -> Points:
        """See models.point_alignment.FindsLandmarks."""
        return _points(self._shape(image, face))

    def named(self, points: Points) -> Mapping[str, npt.NDArray[np.float64]]:
        """See models.point_alignment.FindsLandmarks. An eye is between its corners; first comes the right one."""
        return {
            "left_eye": points[2:4].mean(axis=0),
            "right_eye": points[:2].mean(axis=0),
            "below_nose": points[4],
        }

    def _shape(self, image: RgbImage, face: Detection) -> dlib.full_object_detection:
        return self._model(image, dlib.rectangle(face.left, face.top, face.right, face.bottom))


def _loaded(load: Callable[[str], Any], weights: WeightFile, what: str) -> Any:  # noqa: ANN401 - dlib has no types
    try:
        return load(str(weights.path))
    except RuntimeError as error:
        reason = " ".join(str(error).split())
        raise WeightsError(f"{weights.path} is not {what} as dlib writes it: {reason}") from error


def _points(shape: dlib.full_object_detection) -> Points:
    return np.array([(point.x, point.y) for point in shape.parts()], dtype=np.float64)


class DlibEmbedder:
    """dlib's face_recognition_model_v1."""

    def __init__(self, weights: WeightFile) -> None:
        self._model = _loaded(dlib.face_recognition_model_v1, weights, "a face embedder")

    def embed(self, chips: Sequence[Chip]) -> npt.NDArray[np.float32]:
        """See Embedder."""
        vectors = [self._model.compute_face_descriptor(chip) for chip in chips]
        return np.array(vectors, dtype=np.float32).reshape(len(chips), EMBEDDING_DIMENSIONS)
