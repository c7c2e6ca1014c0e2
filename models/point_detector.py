"""A detector that finds five landmarks with each face, as its description says: an ONNX network of one input.

Two ways of writing faces down are read, each for cells of 8, 16 and 32 pixels, row by row:

    yunet   (Wu, Peng and Yu 2023; OpenCV's face_detect.cpp) Outputs named cls_8, obj_8, bbox_8, kps_8 and so on, of 1,
            1, 4 and 10 columns. The score is the root of cls times obj. A box is the middle less the cell's corner and
            the logarithms of width and height, landmarks are less the cell's corner; in cells.
    scrfd   (Guo et al. 2021, arXiv:2105.04714; insightface's scrfd.py) Three outputs of 1 column, three of 4 and three
            of 10, each from fine to coarse, for one or more faces a cell. Boxes are the distances of the sides from the
            cell's corner, landmarks their places less it; in cells.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import dlib
import numpy as np
import numpy.typing as npt
from PIL import Image

from models.descriptions import COARSEST_CELL, DetectorDescription
from models.network_input import network_input
from models.onnx_session import Execution, NetworkFailed, foreign_session, run_all
from models.pixels import RgbImage
from models.protocols import Detection
from models.pyramid import upsampled_size
from models.weights import WeightsError

_STRIDES = (8, 16, COARSEST_CELL)
# Where the network takes any size, sides are filled up to whole cells of the coarsest.
_WHOLE = COARSEST_CELL
_LANDMARKS = 5
# More pixels than any picture has on a side.
_FAR = 1e6

Numbers = npt.NDArray[np.float64]


@dataclass(frozen=True)
class _Found:
    """Candidates: scores of shape (n,), boxes (left, top, right, bottom) of (n, 4), landmarks of (n, 5, 2)."""

    scores: Numbers
    boxes: Numbers
    landmarks: Numbers


class PointDetector:
    """See Detector. Scores are from 0 to 1."""

    batch_size = 1

    def __init__(self, description: DetectorDescription, threshold: float, execution: Execution) -> None:
        """Load the network and try it. Raises WeightsError where it is not what is described, and EngineError."""
        self._description = description
        self._threshold = max(threshold, description.threshold)
        file = description.weights()
        self._network = foreign_session(file, execution)
        name = f"{file.path} ({description.name})"
        inputs = self._network.get_inputs()
        if len(inputs) != 1 or inputs[0].type != "tensor(float)":
            kinds = ", ".join(f"{it.name} {it.type}" for it in inputs)
            raise WeightsError(f"{name}: a detector has one input, of float32, this one has: {kinds}")
        self._input = inputs[0].name
        self._size = _size(name, inputs[0].shape, description)
        self._outputs = [output.name for output in self._network.get_outputs()]
        side = self._size or (_WHOLE, _WHOLE)
        try:
            self.detect([np.full((side[1], side[0], 3), 127, dtype=np.uint8)], 0)
        except NetworkFailed as error:
            raise WeightsError(f"{name}: a gray picture fails: {error}") from error
        except WrongOutputs as error:
            raise WeightsError(f"{name}: its outputs are not those of {description.outputs}: {error}") from error

    def detect(self, images: Sequence[RgbImage], upsample: int) -> list[list[Detection]]:
        """See Detector."""
        return [self._faces(image, upsample) for image in images]

    def _faces(self, image: RgbImage, upsample: int) -> list[Detection]:
        height, width = image.shape[:2]
        # A network of one size sees all pictures in that size, doubled or not.
        for _ in range(0 if self._size else upsample):
            image = _doubled(image)
        shown, (columns_shown, rows_shown) = self._fitted(image)
        outputs = dict(zip(self._outputs, run_all(self._network, {self._input: shown}), strict=True))
        rows, columns = shown.shape[2:] if self._description.layout == "nchw" else shown.shape[1:3]
        read = _read_yunet if self._description.outputs == "yunet" else _read_scrfd
        found = _above(read(outputs, rows, columns), self._threshold)
        kept = _without_duplicates(found, self._description.overlap)
        across, down = width / columns_shown, height / rows_shown
        return [
            Detection(
                round(left * across),
                round(top * down),
                # A box of less than a pixel is one of a pixel.
                max(round(left * across), round(right * across) - 1),
                max(round(top * down), round(bottom * down) - 1),
                float(found.scores[number]),
                # The network's coordinates are of the corners of pixels.
                tuple((x * across - 0.5, y * down - 0.5) for x, y in found.landmarks[number].tolist()),
            )
            for number in kept
            for left, top, right, bottom in [found.boxes[number].tolist()]
        ]

    def _fitted(self, image: RgbImage) -> tuple[npt.NDArray[np.float32], tuple[int, int]]:
        """The image as the network takes it, at its top left, the rest black; and its width and height there."""
        height, width = image.shape[:2]
        columns, rows = -(-width // _WHOLE) * _WHOLE, -(-height // _WHOLE) * _WHOLE
        if self._size is not None:
            columns, rows = self._size
            scale = min(columns / width, rows / height)
            width, height = max(1, round(width * scale)), max(1, round(height * scale))
            shown = Image.fromarray(image).resize((width, height), Image.Resampling.BILINEAR, reducing_gap=2.0)
            image = np.asarray(shown)
        filled = np.zeros((rows, columns, 3), dtype=np.uint8)
        filled[:height, :width] = image
        return network_input([filled], self._description), (width, height)


def _size(name: str, shape: Sequence[object], description: DetectorDescription) -> tuple[int, int] | None:
    """Width and height of the input, where it has one size. Raises WeightsError where it is not as described."""
    wanted = " x ".join(str(side) for side in shape)
    axes = (
        ("batch", "channels", "rows", "columns")
        if description.layout == "nchw"
        else ("batch", "rows", "columns", "channels")
    )
    if len(shape) != len(axes):
        raise WeightsError(f"{name}: its input is {wanted}, not a picture of {' x '.join(axes)}")
    sides = dict(zip(axes, shape, strict=True))
    for axis, number in (("batch", 1), ("channels", 3)):
        if isinstance(sides[axis], int) and sides[axis] != number:
            raise WeightsError(f"{name}: its input is {wanted}, {' x '.join(axes)}, and {axis} has to be {number}")
    fixed = (sides["columns"], sides["rows"])
    size = description.size or fixed
    if any(isinstance(own, int) and own != side for own, side in zip(fixed, size, strict=True)):
        raise WeightsError(f"{name}: its input is {wanted}, {' x '.join(axes)}, and size says otherwise")
    columns, rows = size
    if isinstance(columns, int) and isinstance(rows, int):
        return columns, rows
    if isinstance(columns, int) or isinstance(rows, int):
        raise WeightsError(f"{name}: its input is {wanted}, {' x '.join(axes)}: one side is open, so name its size")
    return None


class WrongOutputs(WeightsError):
    """The outputs are not those of the kind."""


def _read_yunet(outputs: Mapping[str, npt.NDArray[np.float32]], rows: int, columns: int) -> _Found:
    parts = []
    for stride in _STRIDES:
        corners = _corners(rows, columns, stride)
        cells = len(corners)
        scores, objects, boxes, points = (
            _column(outputs, f"{name}_{stride}", cells, width)
            for name, width in (("cls", 1), ("obj", 1), ("bbox", 4), ("kps", 2 * _LANDMARKS))
        )
        middles = corners + boxes[:, :2]
        halves = np.exp(np.minimum(boxes[:, 2:], 20.0)) / 2
        parts.append(
            _Found(
                np.sqrt(np.clip(scores[:, 0], 0, 1) * np.clip(objects[:, 0], 0, 1)),
                np.concatenate([middles - halves, middles + halves], axis=1) * stride,
                (points.reshape(-1, _LANDMARKS, 2) + corners[:, None]) * stride,
            )
        )
    return _joined(parts)


def _read_scrfd(outputs: Mapping[str, npt.NDArray[np.float32]], rows: int, columns: int) -> _Found:
    by_width: dict[int, list[str]] = {}
    for name, values in outputs.items():
        by_width.setdefault(values.shape[-1] if values.ndim else 0, []).append(name)
    if {width: len(names) for width, names in by_width.items()} != {1: 3, 4: 3, 2 * _LANDMARKS: 3}:
        shapes = ", ".join(f"{name} {'x'.join(map(str, values.shape))}" for name, values in outputs.items())
        raise WrongOutputs(f"three each of 1, 4 and {2 * _LANDMARKS} columns are needed, and there are: {shapes}")
    parts = []
    for number, stride in enumerate(_STRIDES):
        corners = _corners(rows, columns, stride)
        faces = outputs[by_width[1][number]].size // max(1, len(corners))
        corners = np.repeat(corners, max(1, faces), axis=0)
        scores, boxes, points = (
            _column(outputs, by_width[width][number], len(corners), width) for width in (1, 4, 2 * _LANDMARKS)
        )
        parts.append(
            _Found(
                scores[:, 0],
                np.concatenate([corners - boxes[:, :2], corners + boxes[:, 2:]], axis=1) * stride,
                (points.reshape(-1, _LANDMARKS, 2) + corners[:, None]) * stride,
            )
        )
    return _joined(parts)


def _corners(rows: int, columns: int, stride: int) -> Numbers:
    """The top left corner of each cell, in cells, row by row: (cells, 2)."""
    down, across = np.mgrid[: rows // stride, : columns // stride]
    return np.stack([across.ravel(), down.ravel()], axis=1).astype(np.float64)


def _column(outputs: Mapping[str, npt.NDArray[np.float32]], name: str, cells: int, width: int) -> Numbers:
    if name not in outputs:
        raise WrongOutputs(f"there is no {name}, only {', '.join(outputs)}")
    values = outputs[name]
    if values.size != cells * width or values.shape[-1] != width:
        shape = " x ".join(map(str, values.shape))
        raise WrongOutputs(f"{name} is {shape}, and {cells} cells of {width} numbers are needed")
    return values.reshape(cells, width).astype(np.float64)


def _joined(parts: Sequence[_Found]) -> _Found:
    return _Found(
        np.concatenate([part.scores for part in parts]),
        np.concatenate([part.boxes for part in parts]),
        np.concatenate([part.landmarks for part in parts]),
    )


def _above(found: _Found, threshold: float) -> _Found:
    """Those of the threshold and above, best first. What is no place on a picture, or no box, is not among them."""
    numbers = (np.abs(found.boxes) < _FAR).all(axis=1) & (np.abs(found.landmarks) < _FAR).all(axis=(1, 2))
    boxes = (found.boxes[:, :2] < found.boxes[:, 2:]).all(axis=1)
    chosen = np.flatnonzero((found.scores >= threshold) & numbers & boxes)
    chosen = chosen[np.argsort(-found.scores[chosen], kind="stable")]
    return _Found(found.scores[chosen], found.boxes[chosen], found.landmarks[chosen])


def _without_duplicates(found: _Found, overlap: float) -> list[int]:
    """Non-maximum suppression: the numbers of those that overlap no better one, best first."""
    kept: list[int] = []
    left = np.arange(len(found.scores))
    while len(left):
        best, left = int(left[0]), left[1:]
        kept.append(best)
        box, others = found.boxes[best], found.boxes[left]
        sides = np.minimum(box[2:], others[:, 2:]) - np.maximum(box[:2], others[:, :2])
        common = np.maximum(sides, 0).prod(axis=1)
        both = (box[2:] - box[:2]).prod() + (others[:, 2:] - others[:, :2]).prod(axis=1) - common
        left = left[common <= overlap * both]
    return kept


def _doubled(image: RgbImage) -> RgbImage:
    height, width = image.shape[:2]
    columns, rows = upsampled_size(width, height)
    doubled: RgbImage = dlib.resize_image(np.ascontiguousarray(image), rows, columns)
    return doubled
