"""dlib's two networks as ONNX models, converted once for each weight file and cached in the user's cache folder.

The models take raw pixels from 0 to 255; the subtraction of means and the division by 256 that dlib does first are
folded into the first convolution. Batch normalisations are folded already (`models.dlib_file`).
"""

from __future__ import annotations

import contextlib
import hashlib
import math
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from onnx import TensorProto, helper
from platformdirs import user_cache_path

from models.dlib_file import read_detector, read_embedder
from models.network import AddShortcut, Convolution, DetectorFile, EmbedderFile, Input, Layer, Pool
from models.onnx_graph import FeatureMap, Graph, serialised
from models.weights import WeightFile, WeightsError

# A part of the cached file's name: raise it whenever the models made here change.
_FORMAT = 4
# The length of the sha256 that a cached file ends with: that of the bytes before it.
_DIGEST = 32
# The number of channels that ONNX Runtime's CPU code computes at once with AVX-512.
_BLOCK = 16
_CELLS: tuple[str | int, ...] = ("batch", 1, "cell_rows", "cell_columns")


def detector_model(weights: WeightFile, cache: Path | None = None, *, batched: bool = False) -> bytes:
    """The detector: float32 `pixels` (batch, 3, rows, columns), 0 to 255, to float32 scores (batch, 1, rows, columns).

    With `batched`, planes of several sizes can be filled up to one: a second input, float32 `cells` of the scores'
    shape, is 1 for a cell of the plane and 0 for one beyond it, and the plane's cells score as on the plane alone.

    Its metadata `facts` holds, as JSON, what else the file holds (see models.network), and where a cell of the scores
    lies on the pixels: the middle of its window is at `stride` * cell + `offset`. The score of a cell depends on the
    cells up to `reach` beside it. Raises WeightsError.
    """
    name = "detector-batched" if batched else "detector"
    return _cached(weights, name, lambda: _detector(read_detector(weights.path), batched), cache)


def embedder_model(weights: WeightFile, cache: Path | None = None) -> bytes:
    """The embedder: uint8 `chips` (batch, 150, 150, 3) to float32 embeddings (batch, 128), the sizes as in the file.

    Raises WeightsError.
    """
    return _cached(weights, "embedder", lambda: _embedder(read_embedder(weights.path)), cache)


def resize_model() -> bytes:
    """Bilinear resizing with aligned corners, as dlib's resize_bilinear does it.

    Inputs: float32 `pixels` (1, 3, rows, columns), and `size`, int64 (4), the shape of the output. The first and last
    pixel of a side stay the first and last: target pixel x comes from x * (before - 1) / (after - 1).
    """
    return _resize_model("", "align_corners")


def resize_part_model() -> bytes:
    """The same for a section of the pixels; ONNX Runtime takes twice the time for it.

    A third input, `part`, is float32 (8): where the section begins on each of the four axes, then where it ends, as
    shares of the way from the first pixel to the last.
    """
    return _resize_model("part", "tf_crop_and_resize")


def _resize_model(part: str, transformation: str) -> bytes:
    # The inputs of Resize are the pixels, a section, scales, and a size; empty names are inputs left out.
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
    return serialised(helper.make_graph([node], "resize", inputs, [resized]))


def _cached(weights: WeightFile, name: str, convert: Callable[[], bytes], cache: Path | None) -> bytes:
    """The model from the cache, or converted and put there. A cache that cannot be read or written is not needed."""
    folder = cache or user_cache_path("facestream") / "onnx"
    path = folder / f"{name}-{weights.sha256}-{_FORMAT}.onnx"
    with contextlib.suppress(OSError):
        content = path.read_bytes()
        if content[-_DIGEST:] == _digest(content[:-_DIGEST]):
            return content[:-_DIGEST]
    model = convert()
    with contextlib.suppress(OSError):  # with a read-only home, the next process converts again, in 0.2 s
        _write(path, model + _digest(model))
    return model


def _digest(content: bytes) -> bytes:
    return hashlib.sha256(content).digest()


def _write(path: Path, content: bytes) -> None:
    """Write a temporary file and rename it, so that another process sees the whole file or none."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=path.parent, prefix=path.stem, delete=False) as temporary:
        temporary.write(content)
    try:
        Path(temporary.name).replace(path)
    except OSError:
        Path(temporary.name).unlink(missing_ok=True)
        raise


def _detector(file: DetectorFile, batched: bool) -> bytes:
    """The detector's graph, and where its cells lie.

    The published network is (dlib's dnn_mmod_face_detection_ex.cpp; each but the last with ReLU; 45 becomes 48 here):

        layer            channels    stride  offset  reach (pixels)
        5x5, stride 2    3 to 16     2       2       0
        5x5, stride 2    16 to 32    4       6       0
        5x5, stride 2    32 to 32    8       14      0
        5x5, padding 2   32 to 45    8       14      16
        5x5, padding 2   45 to 45    8       14      32
        5x5, padding 2   45 to 45    8       14      48
        9x9, padding 4   45 to 1     8       14      80, which is 10 cells
    """
    graph = Graph()
    features = pixels = FeatureMap("pixels", 3)
    inputs = [helper.make_tensor_value_info(pixels.name, TensorProto.FLOAT, ["batch", 3, "rows", "columns"])]
    if batched:
        inputs.append(helper.make_tensor_value_info("cells", TensorProto.FLOAT, _CELLS))
    stride, offset, reach = 1, 0, 0
    for layer in _in_whole_blocks(_fed_with_pixels(file.layers, file.input)):
        if batched and isinstance(layer, Convolution) and layer.padding != (0, 0):
            # dlib pads with zeros where the plane ends. Beyond a plane that is filled up, the layers before have
            # computed other values (the biases alone make some), so these are set to zero. All padded layers follow
            # the last stride, so that their feature maps have the rows and columns of the scores.
            features = replace(features, name=graph.add("Mul", features.name, "cells"))
        features = graph.apply(features, layer)
        if isinstance(layer, Convolution):
            if reach and layer.stride != (1, 1):
                raise WeightsError("a detector with a stride after a padding is not supported")
            # Cell o of this layer is centred on cell s * o - padding + window // 2 of the layer before, which is
            # centred on pixel stride * (that) + offset. Windows and paddings are square, so columns will do.
            offset += stride * (layer.weights.shape[3] // 2 - layer.padding[1])
            stride *= layer.stride[1]
            # Without padding, a cell sees 2 * offset + 1 pixels around its middle. Each padding adds cells beside it.
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
    return graph.model(inputs, helper.make_tensor_value_info(features.name, TensorProto.FLOAT, _CELLS), facts)


def _embedder(file: EmbedderFile) -> bytes:
    """The embedder's graph: a residual network (He et al. 2016).

    The published network is (dlib's dnn_face_recognition_ex.cpp; a block is two 3x3 convolutions and a shortcut):

        layer                                channels   rows and columns
        chip                                 3          150
        7x7 convolution, stride 2, ReLU      32         72
        maximum of 3x3, stride 2             32         35
        three blocks                         32         35
        a halving block, three blocks        64         17
        a halving block, two blocks          128        8
        a halving block, two blocks          256        4
        a halving block                      256        2
        average of all                       256        1
        fully connected                      128

    In a halving block, the first convolution has stride 2 and no padding, and the shortcut is the average of 2x2. The
    two differ in channels, and by a row and a column at times, hence `Graph.sum`.
    """
    graph = Graph()
    rows, columns = file.input.size
    # Chips are (batch, rows, columns, 3) of uint8, feature maps are (batch, 3, rows, columns) of float32.
    floats = graph.add("Cast", "chips", to=TensorProto.FLOAT)
    features = FeatureMap(graph.add("Transpose", floats, perm=[0, 3, 1, 2]), 3, rows, columns)
    layers = _fed_with_pixels(file.layers, file.input)
    shortcut = features
    for before, layer, after in zip((None, *layers[:-1]), layers, (*layers[1:], None), strict=True):
        if isinstance(layer, Pool) and isinstance(after, AddShortcut):
            shortcut = graph.apply(shortcut, layer)
            continue
        is_end = isinstance(layer, AddShortcut)
        features = graph.sum(features, shortcut) if is_end else graph.apply(features, layer)
        # A block begins after the first pool, and after the ReLU that follows the end of another block.
        if isinstance(layer, Pool) or isinstance(before, AddShortcut):
            shortcut = features
    return graph.model(
        [helper.make_tensor_value_info("chips", TensorProto.UINT8, ["batch", rows, columns, 3])],
        helper.make_tensor_value_info(features.name, TensorProto.FLOAT, ["batch", features.channels]),
        {"size": file.input.size},
    )


def _fed_with_pixels(layers: Sequence[Layer], source: Input) -> tuple[Layer, ...]:
    """The layers for pixels from 0 to 255: the first convolution does what dlib does to pixels before it.

    W ((x - means) / 256) + b = (W / 256) x + (b - (W / 256) means). In float64, rounded once at the end.
    """
    first = layers[0]
    if not isinstance(first, Convolution) or first.padding != (0, 0):
        # A padding is zeros after the means are subtracted, which no constant padding of raw pixels is.
        raise WeightsError("a network that does not begin with a convolution without padding is not supported")
    weights = first.weights.astype(np.float64) / 256
    bias = first.bias - np.einsum("fcrk,c->f", weights, np.array(source.means))
    return (replace(first, weights=weights.astype(np.float32), bias=bias.astype(np.float32)), *layers[1:])


def _in_whole_blocks(layers: Sequence[Layer]) -> Iterator[Layer]:
    """The layers with the number of filters filled up, by filters of zeros, to a multiple of 16; not the last one.

    ONNX Runtime has fast code for such numbers only: with them the detector's 45 filters take two thirds of the time.
    The added channels are zero before and after a ReLU, and the next layer weighs them with zeros.
    """
    last = max(number for number, layer in enumerate(layers) if isinstance(layer, Convolution))
    channels = 3
    for number, layer in enumerate(layers):
        if isinstance(layer, Convolution):
            filters, inputs, *_ = layer.weights.shape
            added = 0 if number == last else -filters % _BLOCK
            weights = np.pad(layer.weights, ((0, added), (0, channels - inputs), (0, 0), (0, 0)))
            channels = filters + added
            yield replace(layer, weights=weights, bias=np.pad(layer.bias, (0, added)))
        else:
            yield layer
