"""The fast engine: dlib's detector and embedder on ONNX Runtime, with dlib's own weights and results.

How a detection goes, with shapes:

    image               uint8 (height, width, 3)              doubled `upsample` times by dlib
    levels              float32 (1, 3, height, width) each    models.pyramid has their sizes and positions
    plane               float32 (batch, 3, height, width)     the levels tiled; in strips where it is large
    scores              float32 (rows, columns)               one for each cell; a cell is 8 pixels of the plane
    windows             float64 (n, 4)                        80 x 80 pixels around each cell above the threshold
    boxes on the image  float64 (n, 4)                        without those that overlap a better one

The steps are those of dlib: input_rgb_image_pyramid (dlib/dnn/input.h) and loss_mmod_::to_label (loss.h).
"""

from __future__ import annotations

import json
import math
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import dlib
import numpy as np
import numpy.typing as npt

from models import onnx_convert, planes, pyramid
from models.onnx_session import Execution, accelerated, run, session
from models.pixels import RgbImage
from models.planes import Grid, Pixels
from models.protocols import Chip, Detection
from models.pyramid import Boxes
from models.weights import WeightFile
from schemas.faces import EMBEDDING_DIMENSIONS

# The number of pixels that go through the detector's network at once: several planes that fit together, or a strip of a
# larger one. On the CPU, so many need about 200 MB.
_MOST_PIXELS = 8_000_000
# The number of planes for the detector on an accelerator, and of chips for the embedder, in one call.
_DETECTOR_BATCH = 8
_EMBEDDER_BATCH = 32

Scores = npt.NDArray[np.float32]
"""The scores of a plane's cells: float32, shape (rows, columns)."""


@dataclass(frozen=True)
class _Facts:
    """What the detector's file holds besides the weights; see onnx_convert.detector_model."""

    means: list[float]
    padding: int
    outer_padding: int
    window: list[int]
    hull_share: float
    covered: float
    stride: int
    offset: int
    reach: int


class OnnxDetector:
    """dlib's MMOD detector (King 2015, arXiv:1502.00046) on ONNX Runtime.

    With `batched` (by default: on an accelerator), planes are filled up to one of few sizes, and those of one size go
    through the network together. On the CPU nothing is gained by it (docs/performance.md).
    """

    def __init__(
        self, weights: WeightFile, threshold: float, execution: Execution, *, batched: bool | None = None
    ) -> None:
        self._batched = accelerated(execution.provider) if batched is None else batched
        self.batch_size = _DETECTOR_BATCH if self._batched else 1
        self._network = session(onnx_convert.detector_model(weights, batched=self._batched), execution)
        on_cpu = Execution("cpu", execution.threads)
        self._resizer = session(onnx_convert.resize_model(), on_cpu)
        self._part_resizer = session(onnx_convert.resize_part_model(), on_cpu)
        self._facts = _Facts(**json.loads(self._network.get_modelmeta().custom_metadata_map["facts"]))
        # `offset` is the middle of what cell 0 sees, counted from 0.
        self._grid = Grid(self._facts.stride, 2 * self._facts.offset + 1, self._facts.reach)
        self._threshold = threshold

    def detect(self, images: Sequence[RgbImage], upsample: int) -> list[list[Detection]]:
        """See Detector."""
        tiled = [self._layout(image, upsample) for image in images]
        faces: list[list[Detection]] = [[] for _ in images]
        for batch in self._batches(tiled):
            levels = [self._levels(images[number], upsample, tiled[number]) for number in batch]
            scores = self._scores(levels, [tiled[number] for number in batch])
            for number, plane_scores in zip(batch, scores, strict=True):
                faces[number] = self._faces(plane_scores, tiled[number], upsample)
        return faces

    def _layout(self, image: RgbImage, upsample: int) -> pyramid.Layout:
        height, width, _ = image.shape
        for _ in range(upsample):
            width, height = pyramid.upsampled_size(width, height)
        return pyramid.layout(width, height, self._facts.padding, self._facts.outer_padding)

    def _batches(self, tiled: Sequence[pyramid.Layout]) -> Iterator[list[int]]:
        """The numbers of the planes that go through the network together.

        They have one size once filled up, and _MOST_PIXELS in all. Planes too small for a face are left out.
        """
        by_size: defaultdict[tuple[int, int], list[int]] = defaultdict(list)
        for number, plane in enumerate(tiled):
            if min(self._shape(plane)) > 0:
                by_size[self._filled_shape(plane)].append(number)
        for (rows, columns), numbers in by_size.items():
            fit = _MOST_PIXELS // (self._grid.pixels(rows) * self._grid.pixels(columns)) if self._batched else 1
            count = planes.last_power(max(1, fit))
            yield from (numbers[start : start + count] for start in range(0, len(numbers), count))

    def _shape(self, plane: pyramid.Layout) -> tuple[int, int]:
        """Rows and columns of a plane's cells."""
        return self._grid.cells(plane.height), self._grid.cells(plane.width)

    def _filled_shape(self, plane: pyramid.Layout) -> tuple[int, int]:
        """Rows and columns of the cells that go through the network for a plane."""
        rows, columns = self._shape(plane)
        return (planes.bucket(rows), planes.bucket(columns)) if self._batched else (rows, columns)

    def _levels(self, image: RgbImage, upsample: int, tiled: pyramid.Layout) -> list[Pixels]:
        """The pixels of all levels, each resized from the one before, as dlib does."""
        for _ in range(upsample):
            image = _doubled(image)
        levels = [_pixels(image)]
        for level in tiled.levels[1:]:
            levels.append(self._resized(levels[-1], level.width, level.height))
        return levels

    def _resized(self, pixels: Pixels, width: int, height: int) -> Pixels:
        """Bilinear resizing of (1, 3, height, width), with columns from where dlib takes them (planes.column_runs)."""
        if pixels.shape[3] <= planes.MAX_EVEN_COLUMNS:
            return run(self._resizer, {"pixels": pixels, "size": np.array([1, 3, height, width], dtype=np.int64)})
        # A section that ends at share 1 takes the last row. With one row left, it is the first row that dlib takes.
        bottom = 1.0 if height > 1 else 0.0
        runs = []
        for columns, left, right in planes.column_runs(pixels.shape[3], width):
            section = np.array([0, 0, 0, left, 1, 1, bottom, right], dtype=np.float32)
            size = np.array([1, 3, height, columns], dtype=np.int64)
            runs.append(run(self._part_resizer, {"pixels": pixels, "part": section, "size": size}))
        return np.concatenate(runs, axis=3)

    def _scores(self, levels: Sequence[list[Pixels]], tiled: Sequence[pyramid.Layout]) -> list[Scores]:
        """The scores of planes that are filled up to the same size, strip by strip."""
        shapes = [self._shape(plane) for plane in tiled]
        rows, columns = self._filled_shape(tiled[0])
        count = planes.next_power(len(tiled))
        scores = np.empty((count, rows, columns), dtype=np.float32)
        strips = list(planes.strips(rows, columns, self._grid, _MOST_PIXELS))
        # One buffer for all strips: the first write to new memory costs more than the write itself.
        buffer = np.empty(count * 3 * max(map(self._height, strips)) * self._grid.pixels(columns), dtype=np.float32)
        for strip in strips:
            top, shape = strip.begin * self._grid.stride, (count, 3, self._height(strip), self._grid.pixels(columns))
            pixels = buffer[: math.prod(shape)].reshape(shape)
            # Between the levels dlib's plane is zero after the means are subtracted, so it is the means before that.
            pixels[:] = np.array(self._facts.means, dtype=np.float32)[:, None, None]
            # 1 for each plane's own cells, 0 for those that only fill it up (see onnx_convert.detector_model).
            cells = np.zeros((count, 1, strip.end - strip.begin, columns), dtype=np.float32)
            for number, plane in enumerate(tiled):
                planes.tile(levels[number], plane, top, pixels[number])
                cells[number, :, : max(0, shapes[number][0] - strip.begin), : shapes[number][1]] = 1
            inputs = {"pixels": pixels, "cells": cells} if self._batched else {"pixels": pixels}
            strip_scores = run(self._network, inputs)[:, 0]
            kept = slice(strip.kept_begin - strip.begin, strip.kept_end - strip.begin)
            scores[:, strip.kept_begin : strip.kept_end] = strip_scores[:, kept]
        return [scores[number, :height, :width] for number, (height, width) in enumerate(shapes)]

    def _height(self, strip: planes.Strip) -> int:
        """The pixels of a strip from top to bottom."""
        return self._grid.pixels(strip.end - strip.begin)

    def _faces(self, scores: Scores, tiled: pyramid.Layout, upsample: int) -> list[Detection]:
        """The cells above the threshold whose boxes overlap no better one, in pixels of the image before doubling."""
        rows, columns = np.nonzero(scores > self._threshold)
        above = scores[rows, columns]
        best_first = np.argsort(-above, kind="stable")
        windows = self._windows(rows[best_first], columns[best_first])
        # dlib rounds boxes to whole pixels here, and again after the doubling is undone.
        boxes = _rounded(pyramid.to_image(tiled, windows))
        kept = self._without_duplicates(boxes)
        boxes, above = boxes[kept], above[best_first][kept]
        for _ in range(upsample):
            boxes = pyramid.before_upsampling(boxes)
        edges = _rounded(boxes).astype(np.int64).tolist()
        return [
            Detection(left, top, right, bottom, score)
            for (left, top, right, bottom), score in zip(edges, above.tolist(), strict=True)
        ]

    def _windows(self, rows: npt.NDArray[np.intp], columns: npt.NDArray[np.intp]) -> Boxes:
        """The windows on the plane that cells score; the edges belong to a window, hence side - 1."""
        x, y = (self._facts.stride * cells + float(self._facts.offset) for cells in (columns, rows))
        half_width, half_height = ((side - 1) / 2 for side in self._facts.window)
        return np.stack([x - half_width, y - half_height, x + half_width, y + half_height], axis=1)

    def _without_duplicates(self, boxes: Boxes) -> list[int]:
        """Non-maximum suppression: the numbers of the boxes, best first, that overlap no better one that is kept."""
        kept: list[int] = []
        candidates = np.arange(len(boxes))
        while candidates.size:
            best, candidates = int(candidates[0]), candidates[1:]
            kept.append(best)
            candidates = candidates[~self._overlaps(boxes[best], boxes[candidates])]
        return kept

    def _overlaps(self, box: Boxes, others: Boxes) -> npt.NDArray[np.bool_]:
        """Whether each of the others (n, 4) is the same face as the box (4,): (n,); see models.network.Overlap."""
        common = _area(np.maximum(box[:2], others[:, :2]), np.minimum(box[2:], others[:, 2:]))
        hull = _area(np.minimum(box[:2], others[:, :2]), np.maximum(box[2:], others[:, 2:]))
        smaller = np.minimum(_area(box[None, :2], box[None, 2:]), _area(others[:, :2], others[:, 2:]))
        return (common > self._facts.hull_share * hull) | (common > self._facts.covered * smaller)


class OnnxEmbedder:
    """dlib's face recognition ResNet on ONNX Runtime."""

    def __init__(self, weights: WeightFile, execution: Execution) -> None:
        self._network = session(onnx_convert.embedder_model(weights), execution)
        self._accelerated = accelerated(execution.provider)

    def embed(self, chips: Sequence[Chip]) -> npt.NDArray[np.float32]:
        """See Embedder."""
        if not chips:
            return np.empty((0, EMBEDDING_DIMENSIONS), dtype=np.float32)
        starts = range(0, len(chips), _EMBEDDER_BATCH)
        return np.concatenate([self._embed(chips[start : start + _EMBEDDER_BATCH]) for start in starts])

    def _embed(self, chips: Sequence[Chip]) -> npt.NDArray[np.float32]:
        # An accelerator prepares itself for each new batch size; the black chips that fill one up are cut off again.
        count = planes.next_power(len(chips)) if self._accelerated else len(chips)
        batch = np.zeros((count, *chips[0].shape), dtype=np.uint8)
        batch[: len(chips)] = chips
        return run(self._network, {"chips": batch})[: len(chips)]


def _doubled(image: RgbImage) -> RgbImage:
    """The image as dlib's pyramid_up doubles it, made by dlib itself: how it rounds pixels shows in the scores."""
    height, width, _ = image.shape
    columns, rows = pyramid.upsampled_size(width, height)
    doubled: RgbImage = dlib.resize_image(np.ascontiguousarray(image), rows, columns)
    return doubled


def _pixels(image: RgbImage) -> Pixels:
    """(height, width, 3) of uint8 as (1, 3, height, width) of float32."""
    return np.ascontiguousarray(image.transpose(2, 0, 1)[None], dtype=np.float32)


def _rounded(boxes: Boxes) -> Boxes:
    """Whole numbers, a half upwards, as dlib's rectangle(drectangle) rounds."""
    return np.floor(boxes + 0.5)


def _area(low: Boxes, high: Boxes) -> npt.NDArray[np.float64]:
    """Areas (n,) of boxes from their corners (n, 2), which belong to the box; 0 where a box is empty."""
    sides = np.maximum(high - low + 1, 0)
    areas: npt.NDArray[np.float64] = sides[:, 0] * sides[:, 1]
    return areas
