"""Starting the whole system while its services come and go."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from catalogue.connection import connect
from cli.system import through_restarts
from errors import Fatal
from local.services import Services, kept_services
from settings import KafkaSettings, Settings

pytestmark = [pytest.mark.database, pytest.mark.process]


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[Services]:
    """An embedded PostgreSQL that is kept; there is no broker."""
    settings = Settings(data=tmp_path / "data", kafka=KafkaSettings(bootstrap_servers="127.0.0.1:1"))
    with kept_services(settings, exclusive=True, command="run", report=print) as opened:
        yield opened


def test_a_service_that_is_killed_while_all_is_started_is_waited_for(opened: Services) -> None:
    attempts: list[int] = []

    def call() -> None:
        attempts.append(len(attempts))
        if len(attempts) == 1:
            postmaster(opened.settings.data).send_signal(signal.SIGKILL)
        connect(opened.settings.database).close()

    through_restarts(opened.keeper, threading.Event(), call)
    assert len(attempts) > 1


def test_a_server_process_that_is_killed_while_all_is_started_is_waited_for(opened: Services) -> None:
    """PostgreSQL ends all connections then, and starts its server processes again itself: it is never away for long."""
    attempts: list[int] = []

    def call() -> None:
        attempts.append(len(attempts))
        with connect(opened.settings.database) as connection:
            if len(attempts) == 1:
                psutil.Process(connection.info.backend_pid).send_signal(signal.SIGKILL)
            connection.execute("SELECT pg_sleep(0.5)")

    through_restarts(opened.keeper, threading.Event(), call)
    assert opened.keeper.restarts == 0
    assert len(attempts) > 1


def test_what_is_wrong_for_another_reason_is_no_outage(opened: Services) -> None:
    attempts: list[int] = []

    def call() -> None:
        attempts.append(len(attempts))
        raise Fatal("the embedder is another one")

    with pytest.raises(Fatal, match="another one"):
        through_restarts(opened.keeper, threading.Event(), call)
    assert len(attempts) == 1


def postmaster(data: Path) -> psutil.Process:
    return psutil.Process(int((data / "postgres" / "postmaster.pid").read_text().split()[0]))
