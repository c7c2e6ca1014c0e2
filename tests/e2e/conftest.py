"""Archives of real photographs, and the whole system on a folder of the test's own."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest

from tests.builders.commands import Finished, facestream_json
from tests.builders.system import UPSAMPLE, StartSystem, whole_system


@pytest.fixture(scope="session")
def johns(shared_data: Path) -> Path:
    """55 crops of 5 people, a folder each."""
    return shared_data / "dlib_examples" / "johns"


@pytest.fixture(scope="session")
def johns_run(johns: Path, tmp_path_factory: pytest.TempPathFactory) -> Finished:
    """`facestream run` over the johns, undisturbed."""
    data = tmp_path_factory.mktemp("johns")
    (summary,) = facestream_json("run", johns, "--data", data, "--upsample", UPSAMPLE)
    return Finished(data, summary)


@pytest.fixture
def start(tmp_path: Path) -> StartSystem:
    """Starts services and consumers on a folder of the test's own."""
    return partial(whole_system, tmp_path / "data")
