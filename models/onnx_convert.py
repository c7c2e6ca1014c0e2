"""dlib's two networks as ONNX models, made once for each weight file and kept in the user's cache folder."""

from __future__ import annotations

import contextlib
import hashlib
import json
import math
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper
from platformdirs import user_cache_path

from models.dlib_file import (
    AddShortcut,
    Convolution,
    DetectorFile,
    EmbedderFile,
    FullyConnected,
    Input,
    Layer,
    Pool,
    Relu,
    read_detector,
    read_embedder,
)
from models.weights import WeightFile, WeightsError

Pair = tuple[int, int]

# A part of the cached file's name: raise it whenever the models made here change.
_FORMAT = 4
# The cached file ends with the sha256 of what stands before it.
_DIGEST = 32
# Channels that ONNX Runtime's processor code takes at once, with 512 bits.
_BLOCK = 16
_OPSET = 20
_IR_VERSION = 10
_CELLS: tuple[str | int, ...] = ("batch", 1, "cell_rows", "cell_columns")


def detector_model(weights: WeightFile, cache: Path | None = None, *, batched: bool = False) -> bytes:
    """The detector: float32 pixels (batch, 3, rows, columns), 0 to 255, to float32 scores (batch, 1, rows, columns).

    With `batched`, planes of several sizes can be filled up to one: a second input, float32 `cells` of the scores'
    shape, is 1 for a cell of the plane and 0 for one beyond it, and the plane's cells score as on the plane alone.

    Its metadata `facts` holds, as JSON, what else the file says (see models.dlib_file), and where a cell of the scores
    lies on the pixels: the middle of its window is at `stride` * cell + `offset`. A cell depends on what lies up to
    `reach` cells beside it. Raises WeightsError.
    """
    name = "detector-batched" if batched else "detector"
    return _kept(weights, name, lambda: _detector(read_detector(weights.path), batched), cache)


def embedder_model(weights: WeightFile, cache: Path | None = None) -> bytes:
    """The embedder: uint8 chips (batch, 150, 150, 3) to float32 embeddings (batch, 128). Raises WeightsError."""
    return _kept(weights, "embedder", lambda: _embedder(read_embedder(weights.path)), cache)


def resize_model() -> bytes:
    """Bilinear resizing with aligned corners: float32 pixels (1, 3, rows, columns) and the `size` wanted, int64 (4)."""
    return _resize_model("", "align_corners")


def resize_part_model() -> bytes:
    """The same for a part of the pixels, which takes ONNX Runtime twice the time.

    A third input, the `part`, is float32 (8): where it begins on each of the four axes, then where it ends, as shares
    of the way from the first pixel to the last.
    """
    return _resize_model("part", "tf_crop_and_resize")


def _resize_model(part: str, transformation: str) -> bytes:
    node = helper.make_node(
        "Resize",
        ["pixels", part, "", "size"],
        ["resized"],
        mode="linear",
        coordinate_transformation_mode=transformation,
    )
    inputs = [
        helper.make_tensor_value_info("pixels", TensorProto.FLOAT, [1, 3, "rows", "columns"]),
        helper.make_tensor_value_info("size", TensorProto.INT64, [4]),
    ]
    if part:
        inputs.append(helper.make_tensor_value_info(part, TensorProto.FLOAT, [8]))
    resized = helper.make_tensor_value_info("resized", TensorProto.FLOAT, [1, 3, "new_rows", "new_columns"])
    return _serialised(helper.make_graph([node], "resize", inputs, [resized]))


def _kept(weights: WeightFile, name: str, convert: Callable[[], bytes], cache: Path | None) -> bytes:
    """The model from the cache; made and put there if it is not. A cache that cannot be written is done without."""
    folder = cache or user_cache_path("facestream") / "onnx"
    kept = folder / f"{name}-{weights.sha256}-{_FORMAT}.onnx"
    with contextlib.suppress(OSError):
        content = kept.read_bytes()
        if content[-_DIGEST:] == _digest(content[:-_DIGEST]):
            return content[:-_DIGEST]
    model = convert()
    with contextlib.suppress(OSError):  # of a read-only home, say: the next process converts again, in 0.2 s
        _write(kept, model + _digest(model))
    return model


def _digest(content: bytes) -> bytes:
    return hashlib.sha256(content).digest()


def _write(path: Path, content: bytes) -> None:
    """Written aside and renamed, so that another process finds it whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=path.parent, prefix=path.stem, delete=False) as aside:
        aside.write(content)
    try:
        Path(aside.name).replace(path)
    except OSError:
        Path(aside.name).unlink(missing_ok=True)
        raise


def _detector(file: DetectorFile, batched: bool) -> bytes:
    graph = _Graph()
    plane = pixels = _Plane("pixels", 3)
    inputs = [helper.make_tensor_value_info(pixels.name, TensorProto.FLOAT, ["batch", 3, "rows", "columns"])]
    if batched:
        inputs.append(helper.make_tensor_value_info("cells", TensorProto.FLOAT, _CELLS))
    stride, offset, reach = 1, 0, 0
    for layer in _in_whole_blocks(_fed_with_pixels(file.layers, file.input)):
        if batched and isinstance(layer, Convolution) and layer.padding != (0, 0):
            # A padding is zeros where the plane ends, not what the layers before have made of the filling beyond it.
            plane = replace(plane, name=graph.add("Mul", plane.name, "cells"))
        plane = graph.apply(plane, layer)
        if isinstance(layer, Convolution):
            if reach and layer.stride != (1, 1):
                raise WeightsError("a detector with a stride after a padding is not known here")
            # A cell lies in the middle of its filter's window; a window begins before the first pixel by the padding.
            offset += stride * (layer.weights.shape[3] // 2 - layer.padding[1])
            stride *= layer.stride[1]
            reach += stride * layer.padding[1]
    facts = {
        "means": file.input.means,
        "padding": file.input.padding,
        "outer_padding": file.input.outer_padding,
        "window": file.window,
        "hull_share": file.overlap.hull_share,
        "covered": file.overlap.covered,
        "stride": stride,
        "offset": offset,
        "reach": math.ceil(reach / stride),
    }
    return graph.model(inputs, helper.make_tensor_value_info(plane.name, TensorProto.FLOAT, _CELLS), facts)


def _embedder(file: EmbedderFile) -> bytes:
    graph = _Graph()
    rows, columns = file.input.size
    floats = graph.add("Cast", "chips", to=TensorProto.FLOAT)
    plane = _Plane(graph.add("Transpose", floats, perm=[0, 3, 1, 2]), 3, rows, columns)
    layers = _fed_with_pixels(file.layers, file.input)
    shortcut = plane
    for before, layer, after in zip((None, *layers[:-1]), layers, (*layers[1:], None), strict=True):
        if isinstance(layer, Pool) and isinstance(after, AddShortcut):
            shortcut = graph.apply(shortcut, layer)
            continue
        plane = graph.sum(plane, shortcut) if isinstance(layer, AddShortcut) else graph.apply(plane, layer)
        if isinstance(layer, Pool) or isinstance(before, AddShortcut):
            shortcut = plane  # the next block begins here
    return graph.model(
        [helper.make_tensor_value_info("chips", TensorProto.UINT8, ["batch", rows, columns, 3])],
        helper.make_tensor_value_info(plane.name, TensorProto.FLOAT, ["batch", plane.channels]),
        {"size": file.input.size},
    )


def _fed_with_pixels(layers: Sequence[Layer], source: Input) -> tuple[Layer, ...]:
    """The layers for pixels from 0 to 255: what dlib does to them before, the first convolution does."""
    first = layers[0]
    if not isinstance(first, Convolution) or first.padding != (0, 0):
        # A padding is zeros after the means are taken away, so it could not be folded in.
        raise WeightsError("a network that does not begin with a convolution without padding is not known here")
    weights = first.weights.astype(np.float64) / 256
    bias = first.bias - np.einsum("fcrk,c->f", weights, np.array(source.means))
    return (replace(first, weights=weights.astype(np.float32), bias=bias.astype(np.float32)), *layers[1:])


def _in_whole_blocks(layers: Sequence[Layer]) -> Iterator[Layer]:
    """Convolutions and rectifiers with the filters between them filled up, by zeros, to a multiple of 16.

    ONNX Runtime has fast code for such numbers only: with them the detector's 45 filters take two thirds of the time.
    """
    last = max(number for number, layer in enumerate(layers) if isinstance(layer, Convolution))
    channels = 3
    for number, layer in enumerate(layers):
        if isinstance(layer, Convolution):
            filters, inputs, *_ = layer.weights.shape
            more = 0 if number == last else -filters % _BLOCK
            weights = np.pad(layer.weights, ((0, more), (0, channels - inputs), (0, 0), (0, 0)))
            channels = filters + more
            yield replace(layer, weights=weights, bias=np.pad(layer.bias, (0, more)))
        else:
            yield layer


@dataclass(frozen=True)
class _Plane:
    """A value in the graph. Rows and columns of 0 are not known."""

    name: str
    channels: int
    rows: int = 0
    columns: int = 0

    def through(self, name: str, channels: int, window: Pair, stride: Pair, padding: Pair) -> _Plane:
        if self.rows == 0:
            return _Plane(name, channels)
        rows = (self.rows + 2 * padding[0] - window[0]) // stride[0] + 1
        return _Plane(name, channels, rows, (self.columns + 2 * padding[1] - window[1]) // stride[1] + 1)


class _Graph:
    """An ONNX graph that grows node by node."""

    def __init__(self) -> None:
        self._nodes: list[onnx.NodeProto] = []
        self._constants: list[onnx.TensorProto] = []

    def add(self, operator: str, *inputs: str, **attributes: Any) -> str:  # noqa: ANN401 - what ONNX takes
        """Add a node; gives its output's name."""
        output = f"{operator.lower()}_{len(self._nodes)}"
        self._nodes.append(helper.make_node(operator, inputs, [output], **attributes))
        return output

    def constant(self, value: npt.NDArray[Any]) -> str:
        name = f"constant_{len(self._constants)}"
        self._constants.append(numpy_helper.from_array(np.ascontiguousarray(value), name))
        return name

    def apply(self, plane: _Plane, layer: Layer) -> _Plane:
        match layer:
            case Convolution(weights, bias, (1, 1), padding) if bias.size == 1:
                # The same sums, gone through from the inputs: ONNX Runtime computes a convolution in 8 or 16 filters at
                # once, which for one filter is many times the work.
                turned = self.constant(weights[:, :, ::-1, ::-1].transpose(1, 0, 2, 3))
                around = (weights.shape[2] - 1 - padding[0], weights.shape[3] - 1 - padding[1])
                name = self.add("ConvTranspose", plane.name, turned, self.constant(bias), pads=around * 2)
                return plane.through(name, 1, (weights.shape[2], weights.shape[3]), (1, 1), padding)
            case Convolution(weights, bias, stride, padding):
                constants = (self.constant(weights), self.constant(bias))
                name = self.add("Conv", plane.name, *constants, strides=stride, pads=padding * 2)
                return plane.through(name, bias.size, (weights.shape[2], weights.shape[3]), stride, padding)
            case Relu():
                return replace(plane, name=self.add("Relu", plane.name))
            case Pool(True, (0, 0)):
                return _Plane(self.add("GlobalAveragePool", plane.name), plane.channels, 1, 1)
            case Pool(average, window, stride, padding):
                operator = "AveragePool" if average else "MaxPool"
                name = self.add(operator, plane.name, kernel_shape=window, strides=stride, pads=padding * 2)
                return plane.through(name, plane.channels, window, stride, padding)
            case FullyConnected(weights):
                name = self.add("MatMul", self.add("Flatten", plane.name), self.constant(weights))
                return _Plane(name, weights.shape[1], 1, 1)
            case _:
                raise WeightsError(f"a {type(layer).__name__} at a place where none is known")

    def sum(self, one: _Plane, other: _Plane) -> _Plane:
        """The sum of two planes, each filled up with zeros to the larger size (dlib's add_prev)."""
        channels = max(one.channels, other.channels)
        rows, columns = max(one.rows, other.rows), max(one.columns, other.columns)
        names = [self._filled(it, channels, rows, columns) for it in (one, other)]
        return _Plane(self.add("Add", *names), channels, rows, columns)

    def _filled(self, plane: _Plane, channels: int, rows: int, columns: int) -> str:
        missing = [0, channels - plane.channels, rows - plane.rows, columns - plane.columns]
        if not any(missing):
            return plane.name
        return self.add("Pad", plane.name, self.constant(np.array([0, 0, 0, 0, *missing], dtype=np.int64)))

    def model(
        self, inputs: Sequence[onnx.ValueInfoProto], result: onnx.ValueInfoProto, facts: Mapping[str, Any]
    ) -> bytes:
        return _serialised(helper.make_graph(self._nodes, "dlib", inputs, [result], self._constants), facts)


def _serialised(graph: onnx.GraphProto, facts: Mapping[str, Any] | None = None) -> bytes:
    opsets = [helper.make_opsetid("", _OPSET)]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=_IR_VERSION, producer_name="facestream")
    helper.set_model_props(model, {"facts": json.dumps(facts or {})})
    onnx.checker.check_model(model, full_check=True)
    serialised: bytes = model.SerializeToString()
    return serialised
