"""`/metrics`, `/livez` and `/readyz` of a process, at a port of their own."""

from __future__ import annotations

import socket
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from prometheus_client import REGISTRY
from prometheus_client.exposition import choose_encoder

from errors import UserError
from settings import MetricsSettings
from telemetry.health import Health, health


@contextmanager
def serving(settings: MetricsSettings, of: Health = health) -> Iterator[int | None]:
    """Serve them until the end of the context; the port, or None where the settings name none.

    Port 0 is a free one. Raises UserError where the address cannot be used.
    """
    if settings.port is None:
        yield None
        return
    try:
        server = _Server((settings.host, settings.port), _Handler)
    except (OSError, OverflowError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise UserError(
            f"metrics cannot be served at {settings.host}:{settings.port} ({reason}): set FACESTREAM_METRICS__PORT "
            "to a free port"
        ) from error
    server.health = of
    thread = threading.Thread(target=server.serve_forever, name="metrics", daemon=True)
    thread.start()
    try:
        yield int(server.server_address[1])
    finally:
        server.shutdown()
        server.server_close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    health: Health

    def handle_error(self, request: socket.socket | tuple[bytes, socket.socket], client_address: object) -> None:
        """A client that closes early, or goes away, is no error of this process."""
        if not isinstance(sys.exc_info()[1], OSError):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    # Seconds that a client may say nothing, or take nothing of the answer. Each has a thread.
    timeout = 10

    def do_GET(self) -> None:
        match self.path.partition("?")[0]:
            case "/metrics":
                encode, content_type = choose_encoder(self.headers.get("Accept", ""))
                self._answer(HTTPStatus.OK, encode(REGISTRY), content_type)
            case "/livez":
                self._check("alive", self.server.health.is_alive)
            case "/readyz":
                self._check("ready", self.server.health.is_ready)
            case _:
                self._answer(HTTPStatus.NOT_FOUND, b"here are /metrics, /livez and /readyz\n", "text/plain")

    def _check(self, what: str, holds: bool) -> None:
        status = HTTPStatus.OK if holds else HTTPStatus.SERVICE_UNAVAILABLE
        self._answer(status, f"{'' if holds else 'not '}{what}\n".encode(), "text/plain")

    def _answer(self, status: HTTPStatus, body: bytes, content_type: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """A scrape is no news."""
