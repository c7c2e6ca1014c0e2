"""`/metrics`, `/livez` and `/readyz`, asked as Prometheus and a service manager ask."""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest
from prometheus_client.parser import text_string_to_metric_families

from errors import UserError
from settings import MetricsSettings
from telemetry import server
from telemetry.health import TURNS_WITHIN_S, Health
from telemetry.server import serving


class Clock:
    def __init__(self) -> None:
        self.seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


@contextmanager
def served(health: Health) -> Iterator[str]:
    with serving(MetricsSettings(port=0), health) as port:
        yield f"http://127.0.0.1:{port}"


def status_of(url: str) -> int:
    try:
        with urlopen(url, timeout=10) as answer:
            return int(answer.status)
    except HTTPError as error:
        return error.code


def test_a_process_is_alive_while_its_loop_turns() -> None:
    clock = Clock()
    health = Health(clock)
    with served(health) as url:
        assert status_of(f"{url}/livez") == 200
        clock.seconds = TURNS_WITHIN_S + 1
        assert status_of(f"{url}/livez") == 503
        health.turned()
        assert status_of(f"{url}/livez") == 200


def test_a_process_is_ready_once_its_state_is_restored_and_while_it_is_alive() -> None:
    clock = Clock()
    health = Health(clock)
    with served(health) as url:
        assert status_of(f"{url}/readyz") == 503
        health.ready()
        assert status_of(f"{url}/readyz") == 200
        health.not_ready()
        assert status_of(f"{url}/readyz") == 503
        health.ready()
        clock.seconds = TURNS_WITHIN_S + 1
        assert status_of(f"{url}/readyz") == 503


def test_a_process_is_not_ready_while_it_waits_for_any_service() -> None:
    health = Health()
    health.ready()
    with served(health) as url:
        health.waits("broker", True)
        health.waits("database", True)
        health.waits("broker", False)
        assert status_of(f"{url}/readyz") == 503
        assert status_of(f"{url}/livez") == 200
        health.waits("database", False)
        assert status_of(f"{url}/readyz") == 200


def test_metrics_are_what_prometheus_reads() -> None:
    with served(Health()) as url, urlopen(f"{url}/metrics", timeout=10) as answer:
        families = {family.name for family in text_string_to_metric_families(answer.read().decode())}
    assert {"facestream_scans_analysed", "facestream_clusters", "process_resident_memory_bytes"} <= families


def test_openmetrics_is_served_to_whoever_asks_for_it() -> None:
    with served(Health()) as url:
        asked = Request(f"{url}/metrics", headers={"Accept": "application/openmetrics-text; version=1.0.0"})
        with urlopen(asked, timeout=10) as answer:
            assert answer.headers["Content-Type"].startswith("application/openmetrics-text")
            assert answer.read().endswith(b"# EOF\n")


def test_nothing_else_is_served() -> None:
    with served(Health()) as url:
        assert status_of(f"{url}/") == 404
        assert status_of(f"{url}/metrics/../data") == 404


def test_a_client_that_closes_early_is_no_line_and_a_silent_one_is_let_go(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server._Handler, "timeout", 0.2)
    with served(Health()) as url:
        address = ("127.0.0.1", int(url.rpartition(":")[2]))
        for request in (b"GET /metrics HTTP/1.1\r\n\r\n", b"GET /met"):
            with socket.create_connection(address) as client:
                client.sendall(request)
                # It is reset, not ended in good order.
                client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        with socket.create_connection(address, timeout=10) as silent:
            assert silent.recv(1) == b""
        assert status_of(f"{url}/metrics") == 200
    captured = capfd.readouterr()
    assert (captured.out, captured.err) == ("", "")


def test_a_port_that_is_taken_is_one_line() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        line = f"metrics cannot be served at 127.0.0.1:{port} .*FACESTREAM_METRICS__PORT"
        with pytest.raises(UserError, match=line), serving(MetricsSettings(port=port)):
            pass


def test_without_a_port_nothing_is_served() -> None:
    with serving(MetricsSettings()) as port:
        assert port is None
