"""Fixtures that the tests of several packages use."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from types import FrameType

import pytest
import structlog
from psycopg import Connection

from catalogue.connection import connect
from settings import DatabaseSettings, KafkaSettings
from tests.leftovers import Leftovers

pytest.register_assert_rewrite("tests.builders")

from tests.builders.database import database_server, empty_database  # noqa: E402
from tests.builders.forked import forking  # noqa: E402
from tests.builders.kafka import broker, empty  # noqa: E402

_SHARED_DATA = Path(__file__).parents[1].resolve().parent / "shared" / "data"


def pytest_addoption(parser: pytest.Parser) -> None:
    """`pytest tests/models --provider cuda` runs the tests of the networks where a GPU is."""
    parser.addoption("--provider", default="cpu", help="where ONNX Runtime computes in tests of the networks")


def pytest_configure(config: pytest.Config) -> None:
    """Keep the tests apart from everything else on this machine."""
    # Settings of the person who runs the tests are not the tests': they must never reach a broker of theirs.
    for name in [name for name in os.environ if name.startswith("FACESTREAM_")]:
        del os.environ[name]
    # DBSCAN by Euclidean distance can be compared with scikit-learn's. Tests of the calibrated distance say so.
    os.environ["FACESTREAM_CLUSTERING__DISTANCE"] = "euclidean"
    # CI stops tests with SIGTERM: they are to end as after Ctrl-C.
    signal.signal(signal.SIGTERM, _end)
    if not hasattr(config, "workerinput"):  # no worker process of pytest-xdist
        config.pluginmanager.register(Leftovers())


# What a test starts or needs whose fixtures, or theirs, are among these.
_BY_FIXTURES = {
    "browser": {"browser"},
    "broker": {"running_broker", "secured", "sample_run"},
    "database": {"server", "sample_run"},
    "weights": {"detector_weights", "embedder_weights", "onnx_engine", "dlib_engine", "two", "start", "sample_run"},
    "data": {"shared_data"},
    "process": {"start", "sample_run"},
}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what a test needs. Where it needs it without such a fixture, it says so itself."""
    by_file: dict[Path, set[str]] = {}
    for item in items:
        used = set(getattr(item, "fixturenames", ()))
        by_file.setdefault(item.path, set()).update(used)
        for marker, fixtures in _BY_FIXTURES.items():
            if used & fixtures:
                item.add_marker(marker)
    for path, used in by_file.items():
        if used >= {"kafka", "empty_kafka"}:
            raise pytest.UsageError(f"{path}: empty_kafka would empty the broker that other tests share by kafka")


def _end(number: int, _: FrameType | None) -> None:
    # Some send it twice, to this process and to its group.
    signal.signal(number, signal.SIG_IGN)
    raise KeyboardInterrupt


@pytest.fixture(autouse=True)
def logging_of_its_own() -> Iterator[None]:
    """The logging that a command configured here does not hold for the next test."""
    yield
    structlog.reset_defaults()


@pytest.fixture(autouse=True, scope="session")
def _forking() -> Iterator[None]:
    with forking():
        yield


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real photographs and embeddings that lies beside the checkout; skips where it is absent."""
    if not _SHARED_DATA.is_dir():
        pytest.skip(f"no evaluation data at {_SHARED_DATA}")
    return _SHARED_DATA


@pytest.fixture(scope="session")
def running_broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KafkaSettings]:
    """One broker for all: a start takes seconds. Tests use the fixtures that empty it."""
    with broker(tmp_path_factory.mktemp("kafka")) as settings:
        yield settings


@pytest.fixture(scope="module")
def kafka(running_broker: KafkaSettings) -> KafkaSettings:
    """A broker that is empty before the first test of a module."""
    empty(running_broker)
    return running_broker


@pytest.fixture
def empty_kafka(running_broker: KafkaSettings) -> KafkaSettings:
    """A broker that is empty before each test, for tests that read whole topics. Not in a module that uses `kafka`."""
    empty(running_broker)
    return running_broker


@pytest.fixture(scope="session")
def server() -> Iterator[str]:
    """The address of a PostgreSQL server's own database."""
    with database_server() as url:
        yield url


@pytest.fixture
def database(server: str) -> Iterator[DatabaseSettings]:
    """An empty database, gone after the test."""
    with empty_database(server) as settings:
        yield settings


@pytest.fixture
def connection(database: DatabaseSettings) -> Iterator[Connection]:
    """A catalogue without rows."""
    with connect(database) as opened:
        yield opened
