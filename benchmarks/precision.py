"""How much faster the networks are at lower precision on the processor, and how much accuracy they lose.

`python -m benchmarks.precision FOLDER...` makes 16-bit and 8-bit versions of both networks with ONNX Runtime's tools,
calibrates the 8-bit ones on every tenth photograph, and compares them with the 32-bit ones on the others.
"""

from __future__ import annotations

import argparse
import itertools
import json
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static
from onnxruntime.transformers.float16 import convert_float_to_float16
from rich.console import Console
from rich.table import Table

from benchmarks.photographs import photographs
from models import onnx_convert, weights
from models.analyse import Engine, EngineParameters, load_engine
from models.images import RgbImage, decode
from models.onnx_engine import OnnxDetector, OnnxEmbedder
from models.onnx_session import Execution, session
from models.protocols import Chip, Detection
from models.scaling import scaled_down
from schemas.defaults import UPSAMPLE

_BATCH = 16
_CALLS = 5
_MAX_SIZE = 1000
# Two boxes are one face where they overlap by this share of their union, or more.
_SAME_FACE = 0.5


@dataclass(frozen=True)
class Row:
    """One network at one precision, on one thread.

    ms: the fastest call, for a picture of 500 x 375 pixels or for a face of a batch of 16. lost, added and moved (by
    more than a pixel): faces, compared with 32 bits. Differences: of scores, or of embeddings (Euclidean).
    """

    network: str
    precision: str
    ms: float
    faces: int
    lost: int
    added: int
    moved: int
    median_difference: float
    largest_difference: float


class _CalibrationData(CalibrationDataReader):  # type: ignore[misc]
    """The inputs of the network on the photographs for calibration."""

    def __init__(self, inputs: Sequence[dict[str, npt.NDArray[Any]]]) -> None:
        self._inputs = iter(inputs)

    def get_next(self) -> dict[str, npt.NDArray[Any]] | None:
        return next(self._inputs, None)


class _RecordingSession:
    """A session that records its inputs."""

    def __init__(self, network: Any) -> None:  # noqa: ANN401
        self._network = network
        self.inputs: list[dict[str, npt.NDArray[Any]]] = []

    def run(self, names: None, inputs: dict[str, npt.NDArray[Any]]) -> list[npt.NDArray[Any]]:
        self.inputs.append({name: value.copy() for name, value in inputs.items()})
        outputs: list[npt.NDArray[Any]] = self._network.run(names, inputs)
        return outputs


def measure(pictures: Sequence[RgbImage], upsample: int) -> Iterator[Row]:
    """Both networks at each precision."""
    engine = load_engine(EngineParameters(provider="cpu", threads=1))
    detector, embedder = engine.detector, engine.embedder
    if not isinstance(detector, OnnxDetector) or not isinstance(embedder, OnnxEmbedder):
        raise TypeError("only the ONNX engine can be measured")
    others = [picture for number, picture in enumerate(pictures) if number % 10]
    expected = [detector.detect([picture], upsample)[0] for picture in others]
    for precision, network in _versions(
        detector, onnx_convert.detector_model, weights.DETECTOR, lambda: detector.detect(pictures[::10], upsample)
    ):
        detector._network = network
        detected = [detector.detect([picture], upsample)[0] for picture in others]
        milliseconds = _fastest(lambda: detector.detect([np.zeros((375, 500, 3), dtype=np.uint8)], 0))
        yield _compare(precision, milliseconds, expected, detected)
    chips = _chips(engine, others, expected)
    calibration = _chips(engine, pictures[::10], engine.detector.detect(pictures[::10], upsample))
    reference = embedder.embed(chips)
    for precision, network in _versions(
        embedder, onnx_convert.embedder_model, weights.EMBEDDER, lambda: embedder.embed(calibration)
    ):
        embedder._network = network
        distances = np.linalg.norm(embedder.embed(chips) - reference, axis=1)
        milliseconds = _fastest(lambda: embedder.embed([chips[0]] * _BATCH)) / _BATCH
        median, largest = float(np.median(distances)), float(distances.max())
        yield Row("embedder", precision, milliseconds, len(chips), 0, 0, 0, median, largest)


def _versions(
    owner: Any,  # noqa: ANN401
    convert: Callable[[weights.WeightFile], bytes],
    name: str,
    use: Callable[[], object],
) -> Iterator[tuple[str, Any]]:
    """Sessions of the owner's network at each precision. `use` runs the owner on the photographs for calibration."""
    model, plain = convert(weights.weight_file(name)), owner._network
    yield "32-bit", plain
    half = convert_float_to_float16(onnx.load_from_string(model), keep_io_types=True)
    yield "16-bit", session(half.SerializeToString(), Execution("cpu", 1))
    owner._network = recording = _RecordingSession(plain)
    use()
    with tempfile.TemporaryDirectory() as folder:
        source, quantised = Path(folder) / "32.onnx", Path(folder) / "8.onnx"
        source.write_bytes(model)
        quantize_static(
            source,
            quantised,
            _CalibrationData(recording.inputs),
            quant_format=QuantFormat.QDQ,
            op_types_to_quantize=["Conv", "Relu", "Add", "MaxPool"],
            per_channel=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
        )
        yield "8-bit", session(quantised.read_bytes(), Execution("cpu", 1))
    owner._network = plain


def _compare(
    precision: str, milliseconds: float, expected: Sequence[list[Detection]], detected: Sequence[list[Detection]]
) -> Row:
    lost = added = moved = 0
    differences = [0.0]
    for faces, others in zip(expected, detected, strict=True):
        pairs = [(one, other) for one, other in itertools.product(faces, others) if _overlap(one, other) >= _SAME_FACE]
        differences += [abs(one.score - other.score) for one, other in pairs]
        lost += len(faces) - len({id(one) for one, _ in pairs})
        added += len(others) - len({id(other) for _, other in pairs})
        moved += sum(float(np.abs(np.subtract(_edges(one), _edges(other))).max()) > 1 for one, other in pairs)
    number = sum(map(len, expected))
    largest = max(differences)
    median = float(np.median(differences))
    return Row("detector", precision, milliseconds, number, lost, added, moved, median, largest)


def _edges(face: Detection) -> tuple[int, int, int, int]:
    return face.left, face.top, face.right, face.bottom


def _overlap(one: Detection, other: Detection) -> float:
    width = min(one.right, other.right) - max(one.left, other.left)
    height = min(one.bottom, other.bottom) - max(one.top, other.top)
    common = max(0, width) * max(0, height)
    areas = sum((face.right - face.left) * (face.bottom - face.top) for face in (one, other))
    return common / max(1, areas - common)


def _chips(engine: Engine, pictures: Sequence[RgbImage], faces: Sequence[list[Detection]]) -> list[Chip]:
    return [
        engine.predictor.align(picture, face)[1]
        for picture, faces_of_picture in zip(pictures, faces, strict=True)
        for face in faces_of_picture
    ]


def _fastest(call: Callable[[], object]) -> float:
    """Milliseconds of the fastest call."""
    fastest = float("inf")
    for _ in range(_CALLS):
        began = time.perf_counter()
        call()
        fastest = min(fastest, time.perf_counter() - began)
    return fastest * 1000


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", type=Path, nargs="+", metavar="FOLDER", help="photographs")
    parser.add_argument(
        "--limit", type=int, default=100, help="at most this many of each, evenly chosen (default: 100)"
    )
    parser.add_argument(
        "--upsample", type=int, default=UPSAMPLE, help=f"doublings before detection (default: {UPSAMPLE})"
    )
    parser.add_argument("--json", action="store_true", help="print a line of JSON for each row")
    arguments = parser.parse_args()
    paths = [path for folder in arguments.folders for path in photographs(folder, arguments.limit)]
    pictures = [scaled_down(decode(path.read_bytes()), _MAX_SIZE) for path in paths]
    table = Table(*(field.name.replace("_", " ") for field in fields(Row)), title="Precision")
    for row in measure(pictures, arguments.upsample):
        if arguments.json:
            print(json.dumps(asdict(row)), flush=True)
        table.add_row(*(f"{value:.3g}" if isinstance(value, float) else str(value) for value in asdict(row).values()))
    if not arguments.json:
        Console().print(table)


if __name__ == "__main__":
    main()
