"""What the tests of the models share: photographs with faces, and the two engines."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from models import weights
from models.analyse import Engine, EngineParameters, load_engine
from models.images import RgbImage
from models.weights import WeightFile
from tests.builders import photographs as photographs_made


@pytest.fixture(scope="session")
def detector_weights() -> WeightFile:
    return weights.weight_file(weights.DETECTOR)


@pytest.fixture(scope="session")
def embedder_weights() -> WeightFile:
    return weights.weight_file(weights.EMBEDDER)


@pytest.fixture(scope="session")
def provider(request: pytest.FixtureRequest) -> str:
    """Where ONNX Runtime computes: the option --provider."""
    return str(request.config.getoption("--provider"))


@pytest.fixture(scope="session")
def onnx_engine(provider: str) -> Engine:
    return load_engine(EngineParameters(engine="onnx", provider=provider))


@pytest.fixture(scope="session")
def dlib_engine() -> Engine:
    return load_engine(EngineParameters(engine="dlib"))


@pytest.fixture(scope="session")
def group_photo() -> RgbImage:
    """Three faces of about 100 pixels, 500 x 375."""
    return photographs_made.group_photo()


@pytest.fixture(scope="session")
def photographs() -> dict[str, RgbImage]:
    """Few and small ones, as dlib takes seconds for each: a group, a scratched print, a close face, a crowd."""
    return photographs_made.made_photographs()


@pytest.fixture(scope="session")
def real_photographs(shared_data: Path) -> dict[str, RgbImage]:
    """Few and small ones: a group, colour, sepia, scratched, a single face, many faces."""
    old = shared_data / "archival_groups" / "ms_old_photos"
    portraits = sorted((shared_data / "archival_portraits").rglob("*.jpg"))
    solvay = _read(shared_data / "archival_groups" / "solvay_1927" / "solvay.jpg")
    middle = solvay[solvay.shape[0] // 3 : solvay.shape[0] // 3 + 240, solvay.shape[1] // 3 :][:, :240]
    return {
        "group": _read(next(shared_data.rglob("2008_002506.jpg"))),
        "old": _read(old / "old_w_scratch_b.png", 220),
        "portrait": _read(portraits[7], 200),
        "lfw": _read(sorted((shared_data / "lfw").rglob("*.jpg"))[11]),
        "solvay": np.ascontiguousarray(middle),
    }


def _read(path: Path, longest: int | None = None) -> RgbImage:
    with Image.open(path) as image:
        picture = image.convert("RGB")
    if longest is not None:
        picture.thumbnail((longest, longest))
    return np.asarray(picture)
