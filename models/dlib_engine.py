"""The reference engine: dlib's own MMOD detector (King 2015), 5-point shape predictor (Kazemi and Sullivan 2014) and
face recognition ResNet (He et al. 2016; dlib's dnn_face_recognition_ex.cpp)."""

from __future__ import annotations

from collections.abc import Sequence

import dlib
import numpy as np
import numpy.typing as npt

from models.pixels import RgbImage
from models.protocols import CHIP_SIZE, Chip, Detection, Points
from models.weights import WeightFile
from schemas.faces import EMBEDDING_DIMENSIONS

# dlib's network raises an error for an image with a shorter side, in pixels.
_MIN_SIDE = 8
# Room around the face in a chip, as a share of the face's size: what dlib's compute_face_descriptor cuts out.
_CHIP_PADDING = 0.25


class DlibDetector:
    """dlib's cnn_face_detection_model_v1 (max-margin object detection, King 2015, arXiv:1502.00046)."""

    def __init__(self, weights: WeightFile, threshold: float) -> None:
        self._model = dlib.cnn_face_detection_model_v1(str(weights.path))
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
        self._model = dlib.shape_predictor(str(weights.path))

    def align(self, image: RgbImage, face: Detection) -> tuple[Points, Chip]:
        """See LandmarkPredictor."""
        shape = self._model(image, dlib.rectangle(face.left, face.top, face.right, face.bottom))
        # The similarity transform that brings the points nearest to their mean positions, sampled bilinearly
        # (dlib's get_face_chip_details and extract_image_chip).
        chip: Chip = dlib.get_face_chip(image, shape, size=CHIP_SIZE, padding=_CHIP_PADDING)
        return np.array([(point.x, point.y) for point in shape.parts()], dtype=np.float64), chip


class DlibEmbedder:
    """dlib's face_recognition_model_v1."""

    def __init__(self, weights: WeightFile) -> None:
        self._model = dlib.face_recognition_model_v1(str(weights.path))

    def embed(self, chips: Sequence[Chip]) -> npt.NDArray[np.float32]:
        """See Embedder."""
        vectors = [self._model.compute_face_descriptor(chip) for chip in chips]
        return np.array(vectors, dtype=np.float32).reshape(len(chips), EMBEDDING_DIMENSIONS)
