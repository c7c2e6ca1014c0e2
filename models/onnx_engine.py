"""The fast engine: dlib's detector and embedder on ONNX Runtime, with dlib's own weights and answers."""

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
from models.images import RgbImage
from models.onnx_session import Execution, accelerated, run, session
from models.planes import Grid, Pixels
from models.protocols import Chip, Detection
from models.pyramid import Boxes
from models.weights import WeightFile

# As many pixels go through the detector's network at once: planes that fit together do, a larger one goes in strips. On
# the processor, so many need about 200 MB.
_MOST_PIXELS = 8_000_000
# Chips that go through the network at once.
_BATCH = 32

Scores = npt.NDArray[np.float32]
"""The scores of a plane's cells: float32, shape (rows, columns)."""


@dataclass(frozen=True)
class _Facts:
    """What the detector's file says besides the weights; see onnx_convert.detector_model."""

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
    """dlib's MMOD detector (King 2015) on ONNX Runtime.

    With `batched` (by default: on an accelerator), planes are filled up to one of few sizes, and those of one size go
    through the network together. On the processor it gains nothing (docs/performance.md).
    """

    def __init__(
        self, weights: WeightFile, threshold: float, execution: Execution, *, batched: bool | None = None
    ) -> None:
        self._batched = accelerated(execution.provider) if batched is None else batched
        self.at_once = 8 if self._batched else 1
        self._network = session(onnx_convert.detector_model(weights, batched=self._batched), execution)
        on_processor = Execution("cpu", execution.threads)
        self._resizer = session(onnx_convert.resize_model(), on_processor)
        self._part_resizer = session(onnx_convert.resize_part_model(), on_processor)
        self._facts = _Facts(**json.loads(self._network.get_modelmeta().custom_metadata_map["facts"]))
        self._grid = Grid(self._facts.stride, 2 * self._facts.offset + 1, self._facts.reach)
        self._threshold = threshold

    def detect(self, images: Sequence[RgbImage], upsample: int) -> list[list[Detection]]:
        """See Detector."""
        tiled = [self._layout(it, upsample) for it in images]
        faces: list[list[Detection]] = [[] for _ in images]
        for batch in self._batches(tiled):
            levels = [self._levels(images[it], upsample, tiled[it]) for it in batch]
            for it, scores in zip(batch, self._scores(levels, [tiled[it] for it in batch]), strict=True):
                faces[it] = self._faces(scores, tiled[it], upsample)
        return faces

    def _layout(self, image: RgbImage, upsample: int) -> pyramid.Layout:
        height, width, _ = image.shape
        for _ in range(upsample):
            width, height = pyramid.upsampled_size(width, height)
        return pyramid.layout(width, height, self._facts.padding, self._facts.outer_padding)

    def _batches(self, tiled: Sequence[pyramid.Layout]) -> Iterator[list[int]]:
        """The places of the planes that go through the network together; those too small for a face are left out."""
        together: defaultdict[tuple[int, int], list[int]] = defaultdict(list)
        for place, plane in enumerate(tiled):
            if min(self._shape(plane)) > 0:
                together[self._filled(plane)].append(place)
        for (rows, columns), places in together.items():
            fit = _MOST_PIXELS // (self._grid.pixels(rows) * self._grid.pixels(columns)) if self._batched else 1
            count = planes.last_power(max(1, fit))
            yield from (places[start : start + count] for start in range(0, len(places), count))

    def _shape(self, plane: pyramid.Layout) -> tuple[int, int]:
        """Rows and columns of a plane's cells."""
        return self._grid.cells(plane.height), self._grid.cells(plane.width)

    def _filled(self, plane: pyramid.Layout) -> tuple[int, int]:
        """Rows and columns of what goes through the network for a plane."""
        rows, columns = self._shape(plane)
        return (planes.bucket(rows), planes.bucket(columns)) if self._batched else (rows, columns)

    def _levels(self, image: RgbImage, upsample: int, tiled: pyramid.Layout) -> list[Pixels]:
        for _ in range(upsample):
            image = _doubled(image)
        levels = [_pixels(image)]
        for level in tiled.levels[1:]:
            levels.append(self._resized(levels[-1], level.width, level.height))
        return levels

    def _resized(self, picture: Pixels, width: int, height: int) -> Pixels:
        """Bilinear, with the columns where dlib has them."""
        if picture.shape[3] <= planes.NARROW:
            return run(self._resizer, {"pixels": picture, "size": np.array([1, 3, height, width], dtype=np.int64)})
        bottom = 1.0 if height > 1 else 0.0
        parts = []
        for columns, left, right in planes.column_runs(picture.shape[3], width):
            part = np.array([0, 0, 0, left, 1, 1, bottom, right], dtype=np.float32)
            size = np.array([1, 3, height, columns], dtype=np.int64)
            parts.append(run(self._part_resizer, {"pixels": picture, "part": part, "size": size}))
        return np.concatenate(parts, axis=3)

    def _scores(self, levels: Sequence[list[Pixels]], tiled: Sequence[pyramid.Layout]) -> list[Scores]:
        """The scores of planes that are filled up to the same size."""
        shapes = [self._shape(it) for it in tiled]
        rows, columns = self._filled(tiled[0])
        count = planes.next_power(len(tiled))
        scores = np.empty((count, rows, columns), dtype=np.float32)
        strips = list(planes.strips(rows, columns, self._grid, _MOST_PIXELS))
        # One buffer for all strips: memory that is new costs more to touch than to fill.
        buffer = np.empty(count * 3 * max(map(self._height, strips)) * self._grid.pixels(columns), dtype=np.float32)
        for strip in strips:
            top, shape = strip.begin * self._grid.stride, (count, 3, self._height(strip), self._grid.pixels(columns))
            pixels = buffer[: math.prod(shape)].reshape(shape)
            # dlib's plane is zero between the levels, after the means are taken away.
            pixels[:] = np.array(self._facts.means, dtype=np.float32)[:, None, None]
            cells = np.zeros((count, 1, strip.end - strip.begin, columns), dtype=np.float32)
            for place, plane in enumerate(tiled):
                planes.tile(levels[place], plane, top, pixels[place])
                cells[place, :, : max(0, shapes[place][0] - strip.begin), : shapes[place][1]] = 1
            fed = {"pixels": pixels, "cells": cells} if self._batched else {"pixels": pixels}
            scored = run(self._network, fed)[:, 0]
            scores[:, strip.first : strip.last] = scored[:, strip.first - strip.begin : strip.last - strip.begin]
        return [scores[place, :high, :wide] for place, (high, wide) in enumerate(shapes)]

    def _height(self, strip: planes.Strip) -> int:
        return self._grid.pixels(strip.end - strip.begin)

    def _faces(self, scores: Scores, tiled: pyramid.Layout, upsample: int) -> list[Detection]:
        """What scores above the threshold and overlaps nothing better, in pixels of the picture before doubling."""
        rows, columns = np.nonzero(scores > self._threshold)
        found = scores[rows, columns]
        best_first = np.argsort(-found, kind="stable")
        windows = self._windows(rows[best_first], columns[best_first])
        boxes = _rounded(pyramid.to_picture(tiled, windows))
        kept = self._without_doubles(boxes)
        boxes, found = boxes[kept], found[best_first][kept]
        for _ in range(upsample):
            boxes = pyramid.before_upsampling(boxes)
        edges = _rounded(boxes).astype(np.int64).tolist()
        return [
            Detection(left, top, right, bottom, score)
            for (left, top, right, bottom), score in zip(edges, found.tolist(), strict=True)
        ]

    def _windows(self, rows: npt.NDArray[np.intp], columns: npt.NDArray[np.intp]) -> Boxes:
        """The windows on the plane that cells score."""
        x, y = (self._facts.stride * cell + float(self._facts.offset) for cell in (columns, rows))
        half_width, half_height = ((side - 1) / 2 for side in self._facts.window)
        return np.stack([x - half_width, y - half_height, x + half_width, y + half_height], axis=1)

    def _without_doubles(self, boxes: Boxes) -> list[int]:
        """The places of boxes that overlap no better one that is kept."""
        kept: list[int] = []
        left = np.arange(len(boxes))
        while left.size:
            best, left = int(left[0]), left[1:]
            kept.append(best)
            left = left[~self._overlaps(boxes[best], boxes[left])]
        return kept

    def _overlaps(self, box: Boxes, others: Boxes) -> npt.NDArray[np.bool_]:
        common = _area(np.maximum(box[:2], others[:, :2]), np.minimum(box[2:], others[:, 2:]))
        # dlib divides by the area of the smallest box around both, not by that of their union (box_overlap_testing.h).
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
            return np.empty((0, 128), dtype=np.float32)
        return np.concatenate([self._embed(chips[start : start + _BATCH]) for start in range(0, len(chips), _BATCH)])

    def _embed(self, chips: Sequence[Chip]) -> npt.NDArray[np.float32]:
        count = planes.next_power(len(chips)) if self._accelerated else len(chips)
        batch = np.zeros((count, *chips[0].shape), dtype=np.uint8)
        batch[: len(chips)] = chips
        return run(self._network, {"chips": batch})[: len(chips)]


def _doubled(image: RgbImage) -> RgbImage:
    """What dlib's pyramid_up makes of a picture, made by dlib: how it rounds to whole numbers shows in the scores."""
    height, width, _ = image.shape
    columns, rows = pyramid.upsampled_size(width, height)
    doubled: RgbImage = dlib.resize_image(np.ascontiguousarray(image), rows, columns)
    return doubled


def _pixels(image: RgbImage) -> Pixels:
    return np.ascontiguousarray(image.transpose(2, 0, 1)[None], dtype=np.float32)


def _rounded(boxes: Boxes) -> Boxes:
    """Whole numbers, as dlib rounds to them: a half goes up."""
    return np.floor(boxes + 0.5)


def _area(low: Boxes, high: Boxes) -> npt.NDArray[np.float64]:
    """Areas (n) between corners (n, 2) that are both inside; 0 where there is nothing between them."""
    sides = np.maximum(high - low + 1, 0)
    areas: npt.NDArray[np.float64] = sides[:, 0] * sides[:, 1]
    return areas
