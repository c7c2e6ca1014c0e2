"""An embedder of any kind, as its description says: an ONNX network of one input and one output."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from PIL import Image

from errors import FacestreamError
from models.descriptions import EmbedderDescription
from models.network_input import network_input
from models.onnx_session import Execution, NetworkFailed, foreign_session, run_all
from models.protocols import Chip
from models.weights import WeightsError

_BATCH = 32
_GRAY = 127
_NUMBERS = ("tensor(float)", "tensor(float16)", "tensor(double)")


class WrongEmbedding(FacestreamError):
    """A network's output is no embedding. The text says what it is."""


class DescribedEmbedder:
    """See Embedder. Chips of another size than the network's are scaled to it."""

    def __init__(self, description: EmbedderDescription, execution: Execution) -> None:
        """Load the network and try it. Raises WeightsError where it is not what is described, and EngineError."""
        self._description = description
        file = description.weights()
        self._network = foreign_session(file, execution)
        self._name = f"{file.path} ({description.name})"
        inputs, outputs = self._network.get_inputs(), self._network.get_outputs()
        if len(inputs) != 1 or inputs[0].type != "tensor(float)":
            kinds = ", ".join(f"{it.name} {it.type}" for it in inputs)
            raise WeightsError(f"{self._name}: an embedder has one input, of float32, this one has: {kinds}")
        width, height = description.size
        shape = (3, height, width) if description.layout == "nchw" else (height, width, 3)
        wanted = inputs[0].shape
        if len(wanted) != 4 or any(
            isinstance(side, int) and side != own for side, own in zip(wanted[1:], shape, strict=True)
        ):
            raise WeightsError(
                f"{self._name}: its input is {_shown(wanted)}, which does not fit size {width} x {height} "
                f"and layout {description.layout}: {_shown(['batch', *shape])}"
            )
        if outputs[0].type not in _NUMBERS:
            raise WeightsError(f"{self._name}: its output {outputs[0].name} is {outputs[0].type}, not floating point")
        self._input, self._output = inputs[0].name, outputs[0].name
        self._batch = wanted[0] if isinstance(wanted[0], int) and wanted[0] > 0 else _BATCH
        self._is_fixed = self._batch == wanted[0]
        self._try()

    def _try(self) -> None:
        width, height = self._description.size
        try:
            self.embed([np.full((height, width, 3), _GRAY, dtype=np.uint8)])
        except (WrongEmbedding, NetworkFailed) as error:
            raise WeightsError(f"{self._name}: a gray picture fails: {error}") from error

    def embed(self, chips: Sequence[Chip]) -> npt.NDArray[np.float32]:
        """See Embedder: float32, shape (len(chips), dimension). Raises WrongEmbedding where a number is none."""
        dimension = self._description.dimension
        if not chips:
            return np.empty((0, dimension), dtype=np.float32)
        pixels = network_input([self._sized(chip) for chip in chips], self._description)
        embeddings = self._outputs(pixels)
        if self._description.flip:
            columns = 3 if self._description.layout == "nchw" else 2
            embeddings = (embeddings + self._outputs(np.flip(pixels, axis=columns))) / 2
        if self._description.normalise:
            with np.errstate(invalid="ignore"):  # of all zeros: refused below
                embeddings = embeddings / np.linalg.norm(embeddings, axis=1, keepdims=True)
        if not np.isfinite(embeddings).all():
            raise WrongEmbedding("the embedder's output has numbers that are none, or is all zeros")
        return np.asarray(embeddings, dtype=np.float32)

    def _outputs(self, pixels: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
        return np.concatenate(
            [self._run(pixels[start : start + self._batch]) for start in range(0, len(pixels), self._batch)]
        )

    def _run(self, pixels: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
        count = len(pixels)
        if self._is_fixed and count < self._batch:
            pixels = np.concatenate([pixels, np.repeat(pixels[:1], self._batch - count, axis=0)])
        output, *_ = run_all(self._network, {self._input: np.ascontiguousarray(pixels)})
        if output.shape != (len(pixels), self._description.dimension):
            raise WrongEmbedding(
                f"its output {self._output} is {_shown(output.shape)}, not "
                f"{_shown((len(pixels), self._description.dimension))} as dimension says"
            )
        return np.asarray(output[:count], dtype=np.float64)

    def _sized(self, chip: Chip) -> Chip:
        width, height = self._description.size
        if chip.shape[:2] == (height, width):
            return chip
        return np.asarray(Image.fromarray(chip).resize((width, height), Image.Resampling.BILINEAR, reducing_gap=2.0))


def _shown(shape: Sequence[object]) -> str:
    return " x ".join(str(side) for side in shape)
