"""dlib's network files as plain data: the face detector (MMOD) and the face embedder (ResNet), read to the last byte.

A network is written from the inside out: first the versions of all its layers, then the input layer, then each layer's
details in the order in which data flows (dlib/dnn/core.h, layers.h, loss.h).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

import numpy as np

from models.dlib_stream import Array, DlibStream, Unexpected
from models.weights import WeightsError

T = TypeVar("T")

# The versions of layers are 1 to 4; the first larger integer is the length of the input layer's name.
_LAST_VERSION = 4


@dataclass(frozen=True)
class Convolution:
    """Weights (filters, channels, rows, columns) and a bias for each filter; any normalisation after it folded in."""

    weights: Array
    bias: Array
    stride: tuple[int, int]
    padding: tuple[int, int]


@dataclass(frozen=True)
class Normalisation:
    """y = scale * x + shift, for each channel."""

    scale: Array
    shift: Array


@dataclass(frozen=True)
class Pool:
    """The maximum or the average of windows (rows, columns); a window of (0, 0) is the whole plane."""

    average: bool
    window: tuple[int, int]
    stride: tuple[int, int]
    padding: tuple[int, int]


@dataclass(frozen=True)
class FullyConnected:
    """Weights (inputs, outputs), no bias."""

    weights: Array


@dataclass(frozen=True)
class Relu:
    """max(0, x)."""


@dataclass(frozen=True)
class AddShortcut:
    """The end of a residual block: what came into it is added."""


Layer = Convolution | Normalisation | Pool | FullyConnected | Relu | AddShortcut


@dataclass(frozen=True)
class Input:
    """What is done to pixels: (value - means) / 256. `size` (rows, columns) is that of chips, (0, 0) is any.

    The paddings, in pixels, are those between and around the levels of a picture's tiled pyramid.
    """

    means: tuple[float, float, float]
    size: tuple[int, int]
    padding: int
    outer_padding: int


@dataclass(frozen=True)
class Overlap:
    """When two boxes are one face: their common area over that of the smallest box around both, or over either's."""

    hull_share: float
    covered: float


@dataclass(frozen=True)
class DetectorFile:
    """An MMOD detector: its window (width, height) in pixels, its overlap rule, its layers without normalisations."""

    input: Input
    window: tuple[int, int]
    overlap: Overlap
    layers: tuple[Layer, ...]


@dataclass(frozen=True)
class EmbedderFile:
    """A metric network: its layers without normalisations."""

    input: Input
    layers: tuple[Layer, ...]


def read_detector(path: Path) -> DetectorFile:
    """Read a face detector. Raises WeightsError for a file that is anything else, cut off or longer."""
    return _read(path, "face detector", _detector)


def read_embedder(path: Path) -> EmbedderFile:
    """Read a face embedder. Raises WeightsError for a file that is anything else, cut off or longer."""
    return _read(path, "face embedder", _embedder)


def _read(path: Path, what: str, network: Callable[[DlibStream], T]) -> T:
    try:
        stream = DlibStream(path.read_bytes())
        read = network(stream)
    except OSError as error:
        raise WeightsError(f"the weights {path} cannot be read: {error.strerror}") from error
    except Unexpected as error:
        raise WeightsError(f"{path} is not a {what} as dlib writes it: {error}") from error
    return read


def _detector(stream: DlibStream) -> DetectorFile:
    stream.expect(stream.integer() == 1 and stream.name() == "loss_mmod_", "an MMOD detector")
    stream.expect(stream.integer() == 1, "options of version 1")
    window = (stream.integer(), stream.integer())
    stream.expect(min(window) > 0, "a window")
    _reals(stream, 3)  # losses and truth of training
    overlap = Overlap(stream.real(), stream.real())
    _reals(stream, 2)  # what training ignored
    stream.expect(0 <= overlap.hull_share <= 1 and 0 <= overlap.covered <= 1, "overlaps between 0 and 1")
    source = _input(stream)
    stream.expect(source.size == (0, 0), "an input of pictures of any size")
    layers = _layers(stream)
    stream.expect(len(layers) % 2 == 1, "a convolution at the end")
    stream.expect(all(isinstance(it, Convolution) for it in layers[::2]), "convolutions")
    stream.expect(all(isinstance(it, Relu) for it in layers[1::2]), "a rectifier after each convolution")
    last = layers[-1]
    stream.expect(isinstance(last, Convolution) and last.bias.size == 1, "one score for each place")
    return DetectorFile(source, window, overlap, layers)


def _embedder(stream: DlibStream) -> EmbedderFile:
    stream.expect(stream.integer() == 1 and stream.name() == "loss_metric_2", "a metric network")
    _reals(stream, 2)  # margin and distance of training
    source = _input(stream)
    stream.expect(min(source.size) > 0, "an input of chips of one size")
    layers = _layers(stream)
    stream.expect(isinstance(layers[-1], FullyConnected), "an embedding at the end")
    return EmbedderFile(source, layers)


def _input(stream: DlibStream) -> Input:
    stream.skip_versions(_LAST_VERSION)
    name = stream.name()
    pyramids = {"input_rgb_image_pyramid", "input_rgb_image_pyramid2"}
    stream.expect(name in pyramids or name == "input_rgb_image_sized", f"an input of colour pictures, not {name!r},")
    means = (stream.real(), stream.real(), stream.real())
    if name == "input_rgb_image_sized":
        return Input(means, (stream.integer(), stream.integer()), 0, 0)
    if name == "input_rgb_image_pyramid":
        return Input(means, (0, 0), padding=10, outer_padding=11)  # the older form implies them
    return Input(means, (0, 0), stream.integer(), stream.integer())


def _layers(stream: DlibStream) -> tuple[Layer, ...]:
    """All layers up to the end of the file, normalisations folded into the convolutions before them."""
    layers: list[Layer] = []
    channels = 3
    first = True
    while not stream.at_end():
        name = stream.name()
        if name not in _READERS:
            raise Unexpected(f"a layer {name!r}, which neither the detector nor the embedder has")
        layer = _READERS[name](stream, channels)
        _skip_training_state(stream)
        if first:
            stream.expect(stream.integer() == 1, "one sample for each picture")
            first = False
        if isinstance(layer, Normalisation):
            before = layers.pop() if layers else None
            if not isinstance(before, Convolution):
                raise Unexpected("a normalisation that does not follow a convolution")
            layer = _folded(before, layer)
        if isinstance(layer, Convolution):
            channels = layer.bias.size
        layers.append(layer)
    stream.expect(bool(layers), "layers")
    return tuple(layers)


def _skip_training_state(stream: DlibStream) -> None:
    for _ in range(3):
        stream.boolean()
    for _ in range(3):
        stream.tensor()


def _convolution(stream: DlibStream, channels: int) -> Convolution:
    params = stream.tensor()
    filters, rows, columns = stream.integer(), stream.integer(), stream.integer()
    stride = (stream.integer(), stream.integer())
    padding = (stream.integer(), stream.integer())
    _shapes(stream)
    _reals(stream, 4)
    stream.expect(min(filters, rows, columns, *stride) > 0 and min(padding) >= 0, "a convolution's sizes")
    weights = filters * channels * rows * columns
    stream.expect(params.size == weights + filters, f"{weights} weights and {filters} biases")
    return Convolution(params[:weights].reshape(filters, channels, rows, columns), params[weights:], stride, padding)


def _batch_normalisation(stream: DlibStream, channels: int) -> Normalisation:
    params = stream.tensor()
    _shapes(stream)
    stream.tensor(), stream.tensor()  # of the last training batch
    means, variances = stream.tensor(), stream.tensor()
    stream.integer(), stream.integer()
    # The variances are about 3e-5, so the epsilon is not a detail.
    epsilon = _reals(stream, 5)[-1]
    stream.expect(params.size == 2 * channels == 2 * means.size == 2 * variances.size, f"{channels} normalisations")
    stream.expect(bool((variances >= 0).all()) and 0 < epsilon < 1, "variances and their epsilon")
    with np.errstate(over="ignore"):
        scale = params[:channels] / np.sqrt(variances + np.float32(epsilon))
        return Normalisation(scale, params[channels:] - means * scale)


def _affine(stream: DlibStream, channels: int) -> Normalisation:
    params = stream.tensor()
    _shapes(stream)
    stream.expect(stream.integer() == 0, "a normalisation for each channel")
    stream.expect(params.size == 2 * channels, f"{channels} normalisations")
    return Normalisation(params[:channels], params[channels:])


def _folded(convolution: Convolution, after: Normalisation) -> Convolution:
    with np.errstate(over="ignore", invalid="ignore"):
        weights = convolution.weights * after.scale[:, None, None, None]
        bias = convolution.bias * after.scale + after.shift
    if not (np.isfinite(weights).all() and np.isfinite(bias).all()):
        raise Unexpected("weights and normalisations that are too large together")
    return replace(convolution, weights=weights, bias=bias)


def _pool(stream: DlibStream, average: bool) -> Pool:
    window, stride, padding = ((stream.integer(), stream.integer()) for _ in range(3))
    stream.expect(min(*window, *padding) >= 0 and min(stride) > 0, "a pool's sizes")
    return Pool(average, window, stride, padding)


def _fully_connected(stream: DlibStream, channels: int) -> FullyConnected:
    outputs, inputs = stream.integer(), stream.integer()
    params = stream.tensor()
    _shapes(stream)
    stream.expect(stream.integer() == 1, "a layer without bias")
    _reals(stream, 4)
    stream.expect(inputs == channels and params.size == inputs * outputs, f"weights for {channels} inputs")
    return FullyConnected(params.reshape(inputs, outputs))


def _shapes(stream: DlibStream) -> None:
    stream.shape(), stream.shape()


def _reals(stream: DlibStream, count: int) -> list[float]:
    return [stream.real() for _ in range(count)]


_READERS: dict[str, Callable[[DlibStream, int], Layer]] = {
    "con_4": _convolution,
    "bn_con2": _batch_normalisation,
    "affine_": _affine,
    "relu_": lambda _stream, _channels: Relu(),
    "max_pool_2": lambda stream, _: _pool(stream, average=False),
    "avg_pool_2": lambda stream, _: _pool(stream, average=True),
    "add_prev_": lambda _stream, _channels: AddShortcut(),
    "fc_2": _fully_connected,
}
