"""Small ONNX networks of the kinds that a description may be of, and their descriptions."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

_OPSET = 20
# In cells from a cell's corner: left eye, right eye, nose, corners of the mouth. A face is two cells wide and high.
LANDMARKS = (0.2, 0.3, 0.8, 0.3, 0.5, 0.5, 0.3, 0.8, 0.7, 0.8)
STRIDES = (8, 16, 32)

Shape = Sequence[str | int | None]
"""Names stand for any length."""


class _Graph:
    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []

    def add(self, operator: str, *inputs: str, name: str | None = None, **attributes: Any) -> str:  # noqa: ANN401
        output = name or f"{operator.lower()}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(operator, list(inputs), [output], **attributes))
        return output

    def constant(self, value: object, dtype: type = np.float32) -> str:
        name = f"constant_{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.asarray(value, dtype=dtype), name))
        return name

    def write(self, path: Path, inputs: Shape, outputs: dict[str, Shape]) -> Path:
        values = [
            helper.make_tensor_value_info(name, TensorProto.FLOAT, list(shape)) for name, shape in outputs.items()
        ]
        source = helper.make_tensor_value_info("picture", TensorProto.FLOAT, list(inputs))
        graph = helper.make_graph(self.nodes, "test", [source], values, self.constants)
        onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", _OPSET)], ir_version=10), path)
        return path


def embedder(path: Path, dimension: int = 16, *, batch: int | str = "batch", layout: str = "nchw") -> Path:
    """An embedder of 112 x 112 pixels: what is where in the picture, roughly. With -1 dimensions, no numbers."""
    graph = _Graph()
    source = "picture" if layout == "nchw" else graph.add("Transpose", "picture", perm=[0, 3, 1, 2])
    pooled = graph.add("Flatten", graph.add("AveragePool", source, kernel_shape=[14, 14], strides=[14, 14]))
    weights = np.random.default_rng(1).normal(size=(192, abs(dimension)))
    if dimension < 0:
        weights[:] = np.nan
    graph.add("MatMul", pooled, graph.constant(weights), name="embedding")
    shape = (batch, 3, 112, 112) if layout == "nchw" else (batch, 112, 112, 3)
    return graph.write(path, shape, {"embedding": (batch, abs(dimension))})


def yunet(path: Path, side: int | None = None, *, batch: int = 1, rows: int | None = None, width: float = 2) -> Path:
    """A detector that takes each bright cell of 32 pixels for a face, with outputs like YuNet's; width: in cells."""
    graph = _Graph()
    outputs: dict[str, Shape] = {}
    for stride in STRIDES:
        score = graph.add("Reshape", _brightness(graph, stride), graph.constant([1, -1, 1], np.int64))
        nothing = graph.add("Mul", score, graph.constant(0.0))
        for name, values in (
            ("obj", [1.0]),
            ("bbox", [0.5, 0.5, math.log(width), math.log(2)]),
            ("kps", LANDMARKS),
        ):
            graph.add("Add", nothing, graph.constant([values]), name=f"{name}_{stride}")
            outputs[f"{name}_{stride}"] = (1, None, len(values))
        graph.add("Identity", score, name=f"cls_{stride}")
        outputs[f"cls_{stride}"] = (1, None, 1)
    return graph.write(path, (batch, 3, rows or side or "rows", side or "columns"), outputs)


def scrfd(path: Path, side: int | None = None) -> Path:
    """The same with outputs like SCRFD's, of two faces a cell, of which the second one is none."""
    graph = _Graph()
    outputs: dict[str, Shape] = {}
    facts = (("score", [0.0]), ("bbox", [0.5, 0.5, 1.5, 1.5]), ("kps", LANDMARKS))
    scores = {}
    for stride in STRIDES:
        one = graph.add("Reshape", _brightness(graph, stride), graph.constant([-1, 1], np.int64))
        both = graph.add("Concat", one, graph.add("Mul", one, graph.constant(0.0)), axis=1)
        scores[stride] = graph.add("Reshape", both, graph.constant([-1, 1], np.int64))
    for name, values in facts:
        for stride in STRIDES:
            if name == "score":
                graph.add("Identity", scores[stride], name=f"{name}_{stride}")
            else:
                nothing = graph.add("Mul", scores[stride], graph.constant(0.0))
                graph.add("Add", nothing, graph.constant([values]), name=f"{name}_{stride}")
            outputs[f"{name}_{stride}"] = (None, len(values))
    return graph.write(path, (1, 3, side or "rows", side or "columns"), outputs)


def _brightness(graph: _Graph, stride: int) -> str:
    """How bright each cell is, 0 to 1; 0 for small cells."""
    gray = graph.add("ReduceMean", "picture", graph.constant([1], np.int64), keepdims=1)
    pooled = graph.add("AveragePool", gray, kernel_shape=[stride, stride], strides=[stride, stride])
    return graph.add("Mul", pooled, graph.constant(1 / 255 if stride == max(STRIDES) else 0.0))


def described(folder: Path, network: Path, text: str) -> Path:
    """A TOML file in this folder that describes a network, with its sha256."""
    sha256 = hashlib.sha256(network.read_bytes()).hexdigest()
    file = folder / f"{network.stem}.toml"
    file.write_text(f'path = "{network}"\nsha256 = "{sha256}"\n{text}', encoding="utf-8")
    return file


EMBEDDER = """
name = "small"
dimension = 16
size = [112, 112]
eps = 0.3
eps_max = 0.5
mean = [127.5, 127.5, 127.5]
scale = [127.5, 127.5, 127.5]
flip = true
[targets]
left_eye = [38.3, 51.7]
right_eye = [73.5, 51.5]
nose = [56.0, 71.7]
below_nose = [56.0, 78.0]
"""

DETECTOR = """
name = "small"
outputs = "{outputs}"
"""
