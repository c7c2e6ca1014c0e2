"""Archives that are run, and the whole system on a folder of the test's own."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pytest

from sample.archive import build_sample
from settings import DatabaseSettings, KafkaSettings
from tests.builders.commands import Finished, facestream_json
from tests.builders.kafka import name_broker
from tests.builders.system import UPSAMPLE, StartSystem, whole_system


@contextmanager
def default_settings() -> Iterator[None]:
    """The system as users have it, by calibrated distance; tests/conftest.py sets the Euclidean one."""
    distance = os.environ.pop("FACESTREAM_CLUSTERING__DISTANCE")
    try:
        yield
    finally:
        os.environ["FACESTREAM_CLUSTERING__DISTANCE"] = distance


@pytest.fixture
def as_by_default() -> Iterator[None]:
    """For a test of the system as users have it."""
    with default_settings():
        yield


@pytest.fixture(scope="session")
def johns(shared_data: Path) -> Path:
    """55 crops of 5 people, a folder each."""
    return shared_data / "dlib_examples" / "johns"


@pytest.fixture(scope="session")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """30 scans of 2 people, in the folders album, backs and prints."""
    folder = tmp_path_factory.mktemp("made") / "sample"
    build_sample(folder)
    return folder


@pytest.fixture(scope="session")
def sample_run(tmp_path_factory: pytest.TempPathFactory) -> Finished:
    """`facestream run` without scans, undisturbed: over the same sample archive."""
    data = tmp_path_factory.mktemp("sample-run")
    with default_settings():
        (summary,) = facestream_json("run", "--data", data, "--upsample", UPSAMPLE)
    return Finished(data, summary)


@pytest.fixture
def named_services(empty_kafka: KafkaSettings, database: DatabaseSettings, monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty broker and an empty database, which the settings name: commands need not start their own."""
    name_broker(empty_kafka, monkeypatch)
    monkeypatch.setenv("FACESTREAM_DATABASE__URL", str(database.url))


@pytest.fixture
def start(named_services: None, tmp_path: Path) -> StartSystem:  # noqa: ARG001
    """Starts consumers on a folder, a broker and a database of the test's own."""
    return partial(whole_system, tmp_path / "data")
