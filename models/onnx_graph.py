"""Building ONNX graphs node by node: a layer of `models.network` becomes an operator of ONNX.

The operators are those of opset 20 (https://onnx.ai/onnx/operators/).
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import helper, numpy_helper

from models.network import Convolution, FullyConnected, Layer, Pool, Relu
from models.weights import WeightsError

_OPSET = 20
_IR_VERSION = 10

Pair = tuple[int, int]
"""Rows, columns."""


@dataclass(frozen=True)
class FeatureMap:
    """A value in the graph, float32 of shape (batch, channels, rows, columns). Rows and columns of 0 are unknown."""

    name: str
    channels: int
    rows: int = 0
    columns: int = 0

    def through(self, name: str, channels: int, window: Pair, stride: Pair, padding: Pair) -> FeatureMap:
        """The output of a convolution or pool: floor((side + 2 padding - window) / stride) + 1 on each axis."""
        if self.rows == 0:
            return FeatureMap(name, channels)
        rows = (self.rows + 2 * padding[0] - window[0]) // stride[0] + 1
        return FeatureMap(name, channels, rows, (self.columns + 2 * padding[1] - window[1]) // stride[1] + 1)


class Graph:
    """An ONNX graph that grows node by node."""

    def __init__(self) -> None:
        self._nodes: list[onnx.NodeProto] = []
        self._constants: list[onnx.TensorProto] = []

    def add(self, operator: str, *inputs: str, **attributes: Any) -> str:  # noqa: ANN401 - what ONNX takes
        """Add a node and return the name of its output."""
        output = f"{operator.lower()}_{len(self._nodes)}"
        self._nodes.append(helper.make_node(operator, inputs, [output], **attributes))
        return output

    def constant(self, value: npt.NDArray[Any]) -> str:
        """Add a constant and return its name."""
        name = f"constant_{len(self._constants)}"
        self._constants.append(numpy_helper.from_array(np.ascontiguousarray(value), name))
        return name

    def apply(self, features: FeatureMap, layer: Layer) -> FeatureMap:
        """Add the node of a layer. Raises WeightsError for a layer that has none (see `sum` for AddShortcut).

        ONNX wants paddings as (top, left, bottom, right); dlib's are the same on both sides, hence `padding * 2`.
        """
        match layer:
            case Convolution(weights, bias, (1, 1), padding) if bias.size == 1:
                # ONNX Runtime computes a convolution for 8 or 16 filters at once, which for one filter is many times
                # the work. A transposed convolution yields the same sums from the side of the inputs: with the filter
                # turned by 180 degrees, the two channel axes exchanged, and window - 1 - padding as its padding.
                turned = self.constant(weights[:, :, ::-1, ::-1].transpose(1, 0, 2, 3))
                transposed_padding = (weights.shape[2] - 1 - padding[0], weights.shape[3] - 1 - padding[1])
                inputs = (features.name, turned, self.constant(bias))
                name = self.add("ConvTranspose", *inputs, pads=transposed_padding * 2)
                return features.through(name, 1, (weights.shape[2], weights.shape[3]), (1, 1), padding)
            case Convolution(weights, bias, stride, padding):
                constants = (self.constant(weights), self.constant(bias))
                name = self.add("Conv", features.name, *constants, strides=stride, pads=padding * 2)
                return features.through(name, bias.size, (weights.shape[2], weights.shape[3]), stride, padding)
            case Relu():
                return replace(features, name=self.add("Relu", features.name))
            case Pool(True, (0, 0)):
                return FeatureMap(self.add("GlobalAveragePool", features.name), features.channels, 1, 1)
            case Pool(average, window, stride, padding):
                operator = "AveragePool" if average else "MaxPool"
                name = self.add(operator, features.name, kernel_shape=window, strides=stride, pads=padding * 2)
                return features.through(name, features.channels, window, stride, padding)
            case FullyConnected(weights):
                # (batch, inputs, 1, 1) to (batch, inputs), times (inputs, outputs).
                name = self.add("MatMul", self.add("Flatten", features.name), self.constant(weights))
                return FeatureMap(name, weights.shape[1], 1, 1)
            case _:
                raise WeightsError(f"unexpected {type(layer).__name__} in a network")

    def sum(self, one: FeatureMap, other: FeatureMap) -> FeatureMap:
        """The sum of two feature maps, each filled up with zeros to the larger channels, rows and columns.

        So does dlib's add_prev where shapes differ (dlib/dnn/layers.h, tensor_tools.h); ONNX's Add would refuse them.
        """
        channels = max(one.channels, other.channels)
        rows, columns = max(one.rows, other.rows), max(one.columns, other.columns)
        names = [self._filled(features, channels, rows, columns) for features in (one, other)]
        return FeatureMap(self.add("Add", *names), channels, rows, columns)

    def _filled(self, features: FeatureMap, channels: int, rows: int, columns: int) -> str:
        missing = [0, channels - features.channels, rows - features.rows, columns - features.columns]
        if not any(missing):
            return features.name
        # Pad takes the zeros before each of the four axes, then those after each.
        return self.add("Pad", features.name, self.constant(np.array([0, 0, 0, 0, *missing], dtype=np.int64)))

    def model(
        self, inputs: Sequence[onnx.ValueInfoProto], output: onnx.ValueInfoProto, facts: Mapping[str, Any]
    ) -> bytes:
        """The finished model, serialised; `facts` are JSON in its metadata."""
        return serialised(helper.make_graph(self._nodes, "dlib", inputs, [output], self._constants), facts)


def serialised(graph: onnx.GraphProto, facts: Mapping[str, Any] | None = None) -> bytes:
    """A checked ONNX model as bytes; `facts` are JSON under the key `facts` of its metadata."""
    opsets = [helper.make_opsetid("", _OPSET)]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=_IR_VERSION, producer_name="facestream")
    helper.set_model_props(model, {"facts": json.dumps(facts or {})})
    onnx.checker.check_model(model, full_check=True)
    content: bytes = model.SerializeToString()
    return content
