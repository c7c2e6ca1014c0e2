"""dlib's network files: the face detector (MMOD) and the face embedder (ResNet), read to the last byte.

dlib writes a network from the outside in and from the inside out at once: each layer writes its version, then the
network below it, then its own parameters (dlib/dnn/core.h, add_layer::serialize). So a file holds

    loss layer: version, name, options
    the versions of all other layers, from the last layer to the first
    the input layer: name, means, sizes
    for each layer, in the order in which data flows: name, parameters, training state

The layers' parameters are in dlib/dnn/layers.h, the losses' in loss.h, the inputs' in input.h. The names end in the
version of their format: `con_4` is the fourth format of a convolution. Only what the two published files contain is
read; anything else is refused.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

import numpy as np

from models.dlib_stream import DlibStream, Unexpected
from models.network import (
    AddShortcut,
    Convolution,
    DetectorFile,
    EmbedderFile,
    FullyConnected,
    Input,
    Layer,
    Normalisation,
    Overlap,
    Pool,
    Relu,
)
from models.weights import WeightsError

T = TypeVar("T")

# The versions of layers are 1 to 4; the first larger integer is the length of the input layer's name.
_LAST_VERSION = 4


def read_detector(path: Path) -> DetectorFile:
    """Read a face detector; normalisations are folded into its convolutions.

    Raises WeightsError for a file that cannot be read, is anything else, is cut off, or has bytes after its end.
    """
    return _read(path, "face detector", _detector)


def read_embedder(path: Path) -> EmbedderFile:
    """Read a face embedder; normalisations are folded into its convolutions.

    Raises WeightsError for a file that cannot be read, is anything else, is cut off, or has bytes after its end.
    """
    return _read(path, "face embedder", _embedder)


def _read(path: Path, what: str, parse: Callable[[DlibStream], T]) -> T:
    try:
        network = parse(DlibStream(path.read_bytes()))
    except OSError as error:
        raise WeightsError(f"the weights {path} cannot be read: {error.strerror}") from error
    except Unexpected as error:
        raise WeightsError(f"{path} is not a {what} as dlib writes it: {error}") from error
    return network


def _detector(stream: DlibStream) -> DetectorFile:
    # mmod_options of dlib/dnn/loss.h, in its first version: one window for all faces.
    stream.expect(stream.integer() == 1 and stream.name() == "loss_mmod_", "an MMOD detector")
    stream.expect(stream.integer() == 1, "options of version 1")
    window = (stream.integer(), stream.integer())
    stream.expect(min(window) > 0, "a window")
    _reals(stream, 3)  # for training: loss of a false alarm, loss of a miss, overlap with the truth
    overlap = Overlap(stream.real(), stream.real())
    _reals(stream, 2)  # for training: overlap with boxes to ignore
    stream.expect(0 <= overlap.hull_share <= 1 and 0 <= overlap.covered <= 1, "overlaps between 0 and 1")
    input_layer = _input(stream)
    stream.expect(input_layer.size == (0, 0), "an input of images of any size")
    # Convolution, ReLU, convolution, ReLU, ..., and a last convolution with one filter, whose output is the scores.
    layers = _layers(stream)
    stream.expect(len(layers) % 2 == 1, "a convolution at the end")
    stream.expect(all(isinstance(layer, Convolution) for layer in layers[::2]), "convolutions")
    stream.expect(all(isinstance(layer, Relu) for layer in layers[1::2]), "a rectifier after each convolution")
    last = layers[-1]
    stream.expect(isinstance(last, Convolution) and last.bias.size == 1, "one score for each cell")
    return DetectorFile(input_layer, window, overlap, layers)


def _embedder(stream: DlibStream) -> EmbedderFile:
    stream.expect(stream.integer() == 1 and stream.name() == "loss_metric_2", "a metric network")
    _reals(stream, 2)  # for training: margin and distance threshold
    input_layer = _input(stream)
    stream.expect(min(input_layer.size) > 0, "an input of chips of one size")
    layers = _layers(stream)
    stream.expect(isinstance(layers[-1], FullyConnected), "an embedding at the end")
    return EmbedderFile(input_layer, layers)


def _input(stream: DlibStream) -> Input:
    """The input layer, which has no version: the versions of the other layers come before its name."""
    stream.skip_versions(_LAST_VERSION)
    name = stream.name()
    pyramids = {"input_rgb_image_pyramid", "input_rgb_image_pyramid2"}
    stream.expect(name in pyramids or name == "input_rgb_image_sized", f"an input of colour images, not {name!r},")
    means = (stream.real(), stream.real(), stream.real())
    if name == "input_rgb_image_sized":
        return Input(means, (stream.integer(), stream.integer()), 0, 0)
    if name == "input_rgb_image_pyramid":
        # The first format has no paddings in the file; input.h sets these when it reads one.
        return Input(means, (0, 0), padding=10, outer_padding=11)
    return Input(means, (0, 0), stream.integer(), stream.integer())


def _layers(stream: DlibStream) -> tuple[Layer, ...]:
    """All layers up to the end of the file, normalisations folded into the convolutions before them."""
    layers: list[Layer] = []
    channels = 3  # of the feature map that the next layer gets: a convolution's file does not have it
    first = True
    while not stream.at_end():
        name = stream.name()
        if name not in _READERS:
            raise Unexpected(f"a layer {name!r}, which neither the detector nor the embedder has")
        layer = _READERS[name](stream, channels)
        _skip_training_state(stream)
        if first:
            # The lowest layer stores how many samples the input layer makes of an image.
            stream.expect(stream.integer() == 1, "one sample for each image")
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
    """What core.h stores of each layer for training: three flags, and its output and gradients (empty as published)."""
    for _ in range(3):
        stream.boolean()
    for _ in range(3):
        stream.tensor()


def _convolution(stream: DlibStream, channels: int) -> Convolution:
    # One tensor: filters x channels x rows x columns weights, then a bias for each filter.
    params = stream.tensor()
    filters, rows, columns = stream.integer(), stream.integer(), stream.integer()
    stride = (stream.integer(), stream.integer())
    padding = (stream.integer(), stream.integer())
    _skip_shapes(stream)
    _reals(stream, 4)  # for training: learning rates and weight decays
    stream.expect(min(filters, rows, columns, *stride) > 0 and min(padding) >= 0, "a convolution's sizes")
    weights = filters * channels * rows * columns
    stream.expect(params.size == weights + filters, f"{weights} weights and {filters} biases")
    return Convolution(params[:weights].reshape(filters, channels, rows, columns), params[weights:], stride, padding)


def _batch_normalisation(stream: DlibStream, channels: int) -> Normalisation:
    """Batch normalisation (Ioffe and Szegedy 2015) with the running means and variances of training.

    y = gamma * (x - mean) / sqrt(variance + epsilon) + beta, for each channel.
    """
    params = stream.tensor()  # gammas, then betas
    _skip_shapes(stream)
    stream.tensor(), stream.tensor()  # means and inverse deviations of the last training batch
    means, variances = stream.tensor(), stream.tensor()
    stream.integer(), stream.integer()  # for training: number of updates, length of the running window
    # Four learning rates and weight decays, then epsilon. The published variances are about 3e-5 and epsilon is 1e-4,
    # so another epsilon (1e-5 is usual elsewhere) would change every score.
    epsilon = _reals(stream, 5)[-1]
    stream.expect(params.size == 2 * channels == 2 * means.size == 2 * variances.size, f"{channels} normalisations")
    stream.expect(bool((variances >= 0).all()) and 0 < epsilon < 1, "variances and their epsilon")
    with np.errstate(over="ignore"):  # `_folded` refuses what is not finite
        scale = params[:channels] / np.sqrt(variances + np.float32(epsilon))
        return Normalisation(scale, params[channels:] - means * scale)


def _affine(stream: DlibStream, channels: int) -> Normalisation:
    """What dlib makes of a batch normalisation for use after training: gamma * x + beta, for each channel."""
    params = stream.tensor()  # gammas, then betas
    _skip_shapes(stream)
    stream.expect(stream.integer() == 0, "a normalisation for each channel")  # layer_mode: CONV_MODE
    stream.expect(params.size == 2 * channels, f"{channels} normalisations")
    return Normalisation(params[:channels], params[channels:])


def _folded(convolution: Convolution, after: Normalisation) -> Convolution:
    """One convolution for two layers: scale * (W x + b) + shift = (scale * W) x + (scale * b + shift), per filter."""
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
    # It follows a pool over the whole feature map, so that its inputs are the channels.
    outputs, inputs = stream.integer(), stream.integer()
    params = stream.tensor()
    _skip_shapes(stream)
    stream.expect(stream.integer() == 1, "a layer without bias")  # bias_mode: FC_NO_BIAS
    _reals(stream, 4)  # for training: learning rates and weight decays
    stream.expect(inputs == channels and params.size == inputs * outputs, f"weights for {channels} inputs")
    return FullyConnected(params.reshape(inputs, outputs))


def _skip_shapes(stream: DlibStream) -> None:
    """The shapes of a layer's two parameters, weights and biases or gammas and betas; they follow from its sizes."""
    stream.shape(), stream.shape()


def _reals(stream: DlibStream, count: int) -> list[float]:
    return [stream.real() for _ in range(count)]


# How to read a layer by its name, given the channels of its input.
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
