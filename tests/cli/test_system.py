"""Starting the whole system while its services come and go."""

from __future__ import annotations

import signal
import threading
from pathlib import Path

import psutil
import pytest

from catalogue.connection import connect
from cli.system import through_restarts
from local.services import kept_services
from settings import KafkaSettings, Settings

pytestmark = [pytest.mark.database, pytest.mark.process]


def test_a_service_that_is_killed_while_all_is_started_is_waited_for(tmp_path: Path) -> None:
    settings = Settings(data=tmp_path / "data", kafka=KafkaSettings(bootstrap_servers="127.0.0.1:1"))
    attempts: list[int] = []
    with kept_services(settings, exclusive=True, command="run", report=print) as opened:

        def call() -> None:
            attempts.append(len(attempts))
            if len(attempts) == 1:
                postmaster(settings.data).send_signal(signal.SIGKILL)
            connect(opened.settings.database).close()

        through_restarts(opened.keeper, threading.Event(), call)
    assert len(attempts) > 1


def postmaster(data: Path) -> psutil.Process:
    return psutil.Process(int((data / "postgres" / "postmaster.pid").read_text().split()[0]))
