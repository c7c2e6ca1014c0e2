"""The reference engine: dlib's own MMOD detector (King 2015), 5-point shape predictor and 128-D ResNet."""

from __future__ import annotations

from collections.abc import Sequence

import dlib
import numpy as np
import numpy.typing as npt

from models.images import RgbImage
from models.protocols import Chip, Detection, Points
from models.weights import WeightFile

# On fewer pixels than this dlib's network refuses to run.
_SMALLEST = 8
_CHIP_SIZE = 150
_CHIP_PADDING = 0.25


class DlibDetector:
    """dlib's cnn_face_detection_model_v1."""

    def __init__(self, weights: WeightFile, threshold: float) -> None:
        self._model = dlib.cnn_face_detection_model_v1(str(weights.path))
        self._threshold = threshold
        self.at_once = 1

    def detect(self, images: Sequence[RgbImage], upsample: int) -> list[list[Detection]]:
        """See Detector. dlib's own threshold is 0; a higher one drops more."""
        return [self._faces(it, upsample) for it in images]

    def _faces(self, image: RgbImage, upsample: int) -> list[Detection]:
        if min(image.shape[:2]) < _SMALLEST:
            return []
        return [
            Detection(it.rect.left(), it.rect.top(), it.rect.right(), it.rect.bottom(), it.confidence)
            for it in self._model(image, upsample)
            if it.confidence > self._threshold
        ]


class DlibLandmarks:
    """dlib's shape predictor and the chips cut by it."""

    def __init__(self, weights: WeightFile) -> None:
        self._model = dlib.shape_predictor(str(weights.path))

    def align(self, image: RgbImage, face: Detection) -> tuple[Points, Chip]:
        """See LandmarkPredictor."""
        shape = self._model(image, dlib.rectangle(face.left, face.top, face.right, face.bottom))
        chip: Chip = dlib.get_face_chip(image, shape, size=_CHIP_SIZE, padding=_CHIP_PADDING)
        return np.array([(point.x, point.y) for point in shape.parts()], dtype=np.float64), chip


class DlibEmbedder:
    """dlib's face_recognition_model_v1."""

    def __init__(self, weights: WeightFile) -> None:
        self._model = dlib.face_recognition_model_v1(str(weights.path))

    def embed(self, chips: Sequence[Chip]) -> npt.NDArray[np.float32]:
        """See Embedder."""
        vectors = [self._model.compute_face_descriptor(chip) for chip in chips]
        return np.array(vectors, dtype=np.float32).reshape(len(chips), 128)
