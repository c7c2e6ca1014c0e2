"""The fast engine: dlib's detector and embedder on ONNX Runtime, with dlib's own weights and answers."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

import dlib
import numpy as np
import numpy.typing as npt
import onnxruntime as ort

from models import onnx_convert, pyramid
from models.images import RgbImage
from models.protocols import Chip, Detection
from models.pyramid import Boxes
from models.weights import WeightFile

Planes = npt.NDArray[np.float32]
"""Pixels from 0 to 255: float32, shape (1, 3, height, width)."""

# A plane with more pixels goes through the network in strips. A strip of this size needs about 200 MB.
_STRIP_PIXELS = 8_000_000
# Chips that go through the network at once.
_BATCH = 32


class EngineError(Exception):
    """The engine that was asked for cannot be had here. The text is for a person."""


@dataclass(frozen=True)
class Execution:
    """Where the networks run: ONNX Runtime's provider, and how many threads one call may use (0: all cores)."""

    provider: str = "auto"
    threads: int = 0


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
    """dlib's MMOD detector (King 2015) on ONNX Runtime."""

    def __init__(self, weights: WeightFile, threshold: float, execution: Execution) -> None:
        self._network = _session(onnx_convert.detector_model(weights), execution)
        self._resizer = _session(onnx_convert.resize_model(), Execution("cpu", execution.threads))
        self._facts = _Facts(**json.loads(self._network.get_modelmeta().custom_metadata_map["facts"]))
        self._threshold = threshold

    def detect(self, image: RgbImage, upsample: int) -> list[Detection]:
        """See Detector."""
        for _ in range(upsample):
            image = _doubled(image)
        height, width, _ = image.shape
        tiled = pyramid.layout(width, height, self._facts.padding, self._facts.outer_padding)
        scores = self._scores(self._levels(_planes(image), tiled), tiled)
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

    def _resized(self, picture: Planes, width: int, height: int) -> Planes:
        size = np.array([1, 3, height, width], dtype=np.int64)
        resized: Planes = self._resizer.run(None, {"pixels": picture, "size": size})[0]
        return resized

    def _levels(self, picture: Planes, tiled: pyramid.Layout) -> list[Planes]:
        levels = [picture]
        for level in tiled.levels[1:]:
            levels.append(self._resized(levels[-1], level.width, level.height))
        return levels

    def _scores(self, levels: list[Planes], tiled: pyramid.Layout) -> npt.NDArray[np.float32]:
        """The scores of all cells (rows, columns) of the tiled pyramid, computed in strips where it is large.

        A strip takes in what its cells can see beyond it, so that they score as in the whole.
        """
        stride, seen, reach = self._facts.stride, 2 * self._facts.offset + 1, self._facts.reach
        if min(tiled.height, tiled.width) < seen:
            return np.empty((0, 0), dtype=np.float32)
        rows = (tiled.height - seen) // stride + 1
        step = max(4 * reach, _STRIP_PIXELS // (tiled.width * stride) - 2 * reach)
        buffer = np.empty(3 * tiled.width * (stride * (min(rows, step + 2 * reach) - 1) + seen), dtype=np.float32)
        scores = np.empty((rows, (tiled.width - seen) // stride + 1), dtype=np.float32)
        for first in range(0, rows, step):
            last = min(first + step, rows)
            begin, end = max(0, first - reach), min(last + reach, rows)
            strip = self._strip(levels, tiled, begin * stride, (end - 1) * stride + seen, buffer)
            scored = self._network.run(None, {"pixels": strip})[0]
            scores[first:last] = scored[0, 0, first - begin : last - begin]
        return scores

    def _strip(
        self, levels: list[Planes], tiled: pyramid.Layout, top: int, bottom: int, buffer: npt.NDArray[np.float32]
    ) -> Planes:
        """The rows from `top` to before `bottom` of the tiled pyramid, in the buffer given."""
        strip = buffer[: 3 * tiled.width * (bottom - top)].reshape(1, 3, bottom - top, tiled.width)
        # dlib's plane is zero between the levels, after the means are taken away.
        strip[:] = np.array(self._facts.means, dtype=np.float32)[:, None, None]
        for level, pixels in zip(tiled.levels, levels, strict=True):
            upper, lower = max(top, level.top), min(bottom, level.top + level.height)
            if upper < lower:
                columns = slice(level.left, level.left + level.width)
                strip[:, :, upper - top : lower - top, columns] = pixels[:, :, upper - level.top : lower - level.top]
        return strip

    def _windows(self, rows: npt.NDArray[np.intp], columns: npt.NDArray[np.intp]) -> Boxes:
        """The windows on the plane that cells score."""
        x, y = (self._facts.stride * cell + float(self._facts.offset) for cell in (columns, rows))
        half_width, half_height = ((side - 1) / 2 for side in self._facts.window)
        return np.stack([x - half_width, y - half_height, x + half_width, y + half_height], axis=1)

    def _without_doubles(self, boxes: Boxes) -> list[int]:
        """The places of boxes that overlap no better one that is kept."""
        kept: list[int] = []
        for place, box in enumerate(boxes):
            if not kept or not self._overlaps(box, boxes[kept]).any():
                kept.append(place)
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
        self._network = _session(onnx_convert.embedder_model(weights), execution)

    def embed(self, chips: Sequence[Chip]) -> npt.NDArray[np.float32]:
        """See Embedder."""
        if not chips:
            return np.empty((0, 128), dtype=np.float32)
        batches = [np.stack(chips[start : start + _BATCH]) for start in range(0, len(chips), _BATCH)]
        return np.concatenate([self._network.run(None, {"chips": batch})[0] for batch in batches])


def _doubled(image: RgbImage) -> RgbImage:
    """What dlib's pyramid_up makes of a picture, made by dlib: how it rounds to whole numbers shows in the scores."""
    height, width, _ = image.shape
    columns, rows = pyramid.upsampled_size(width, height)
    doubled: RgbImage = dlib.resize_image(np.ascontiguousarray(image), rows, columns)
    return doubled


def _planes(image: RgbImage) -> Planes:
    return np.ascontiguousarray(image.transpose(2, 0, 1)[None], dtype=np.float32)


def _rounded(boxes: Boxes) -> Boxes:
    """Whole numbers, as dlib rounds to them: a half goes up."""
    return np.floor(boxes + 0.5)


def _area(low: Boxes, high: Boxes) -> npt.NDArray[np.float64]:
    """Areas (n) between corners (n, 2) that are both inside; 0 where there is nothing between them."""
    sides = np.maximum(high - low + 1, 0)
    areas: npt.NDArray[np.float64] = sides[:, 0] * sides[:, 1]
    return areas


_PROVIDERS = {
    "tensorrt": "TensorrtExecutionProvider",
    "cuda": "CUDAExecutionProvider",
    "openvino": "OpenVINOExecutionProvider",
    "cpu": "CPUExecutionProvider",
}
_OPTIONS = {
    # Trying every algorithm for each size takes longer than it saves; TF32 is not exact enough for dlib's scores.
    "CUDAExecutionProvider": {"cudnn_conv_algo_search": "HEURISTIC", "use_tf32": "0"},
}


def _session(model: bytes, execution: Execution) -> ort.InferenceSession:
    options = ort.SessionOptions()
    options.intra_op_num_threads = execution.threads
    # Pictures come in any size. An arena and a plan for each size would never give memory back.
    options.enable_cpu_mem_arena = False
    options.enable_mem_pattern = False
    names = providers(execution.provider)
    session = ort.InferenceSession(
        model, options, providers=names, provider_options=[_OPTIONS.get(name, {}) for name in names]
    )
    # ONNX Runtime goes on without a provider that does not start, for want of a device, say.
    if execution.provider != "auto" and names[0] not in session.get_providers():
        raise EngineError(f"the provider {execution.provider} is installed but does not start on this machine")
    return session


def providers(name: str) -> list[str]:
    """ONNX Runtime's providers for a setting, the processor last. Raises EngineError where the one named is absent."""
    present = set(ort.get_available_providers())
    if name == "auto":
        # TensorRT and OpenVINO prepare themselves for every size of picture anew: they are for those who ask for them.
        return [it for it in ("CUDAExecutionProvider", "CPUExecutionProvider") if it in present]
    if _PROVIDERS[name] not in present:
        raise EngineError(
            f"the provider {name} is not in this ONNX Runtime, which has: "
            + ", ".join(short for short, full in _PROVIDERS.items() if full in present)
        )
    return list(dict.fromkeys([_PROVIDERS[name], "CPUExecutionProvider"]))
