"""A network as plain data: its input, its layers in the order in which data flows, and a detector's options.

`models.dlib_file` reads it from a file of dlib, `models.onnx_convert` makes an ONNX model of it. Feature maps have the
shape (batch, channels, rows, columns) everywhere.
"""

from __future__ import annotations

from dataclasses import dataclass

from models.dlib_stream import Array


@dataclass(frozen=True)
class Convolution:
    """A convolution (cross-correlation, as in all such libraries), with any normalisation after it folded in.

    weights: float32, shape (filters, channels, rows, columns). bias: float32, shape (filters,). stride and padding:
    rows, columns; the padding is zeros, on both sides.
    """

    weights: Array
    bias: Array
    stride: tuple[int, int]
    padding: tuple[int, int]


@dataclass(frozen=True)
class Normalisation:
    """y = scale * x + shift. Both float32, shape (channels,)."""

    scale: Array
    shift: Array


@dataclass(frozen=True)
class Pool:
    """The maximum or the average of windows (rows, columns); a window of (0, 0) is the whole feature map."""

    average: bool
    window: tuple[int, int]
    stride: tuple[int, int]
    padding: tuple[int, int]


@dataclass(frozen=True)
class FullyConnected:
    """y = x @ weights, without bias. weights: float32, shape (inputs, outputs)."""

    weights: Array


@dataclass(frozen=True)
class Relu:
    """max(0, x)."""


@dataclass(frozen=True)
class AddShortcut:
    """The end of a residual block (He et al. 2016): the input of the block is added to what its layers made of it.

    A Pool directly before it belongs to the shortcut: the block's input is pooled before it is added.
    """


Layer = Convolution | Normalisation | Pool | FullyConnected | Relu | AddShortcut


@dataclass(frozen=True)
class Input:
    """What is done to pixels before the first layer: (value - means) / 256, by channel (red, green, blue).

    size: rows and columns that the network takes; (0, 0) is any. padding, outer_padding: the pixels between the levels
    of an image's tiled pyramid and around them (`models.pyramid`); 0 where the network takes no pyramid.
    """

    means: tuple[float, float, float]
    size: tuple[int, int]
    padding: int
    outer_padding: int


@dataclass(frozen=True)
class Overlap:
    """When two boxes are the same face: if one of two shares, both from 0 to 1, is above its limit.

    hull_share: the common area over the area of the smallest box around both. covered: the common area over the area
    of either box. This is test_box_overlap of dlib/image_processing/box_overlap_testing.h, which calls the first one
    the intersection over union.
    """

    hull_share: float
    covered: float


@dataclass(frozen=True)
class DetectorFile:
    """An MMOD detector (King 2015): its window (width, height) in pixels, when boxes are the same face, its layers."""

    input: Input
    window: tuple[int, int]
    overlap: Overlap
    layers: tuple[Layer, ...]


@dataclass(frozen=True)
class EmbedderFile:
    """A network trained with dlib's metric loss: the output of its last layer is the embedding."""

    input: Input
    layers: tuple[Layer, ...]
