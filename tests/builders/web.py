"""A web server on this machine that serves scans, and fails in every way that servers do."""

from __future__ import annotations

import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

LOOPBACK = ("127.0.0.1", "localhost")
"""What `private_hosts` has to name for it."""


@dataclass
class Web:
    """What the server has and does. Change it while it runs.

    pages: bodies by path, without the query. statuses: by path, an answer in place of the page; "" is for all paths.
    requests: path and headers of each request. Paths that begin with /hang never answer, those with /silent send the
    headers only, /trickle sends a byte now and then, /short breaks off, /endless never ends.
    """

    port: int = 0
    pages: dict[str, bytes] = field(default_factory=dict)
    statuses: dict[str, int] = field(default_factory=dict)
    redirects: dict[str, str] = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=dict)
    requests: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    closing: threading.Event = field(default_factory=threading.Event)

    def uri(self, path: str, host: str = "127.0.0.1") -> str:
        """The uri of a path."""
        return f"http://{host}:{self.port}{path}"


@contextmanager
def web_server(port: int = 0, tls: ssl.SSLContext | None = None) -> Iterator[Web]:
    """A running server. Give a port to start one again where another was, and a context to serve https."""
    web = Web()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            web.requests.append((self.path, dict(self.headers)))
            path = self.path.partition("?")[0]
            try:
                self._answer(path)
            except (BrokenPipeError, ConnectionResetError):
                self.close_connection = True

        def _answer(self, path: str) -> None:
            status = web.statuses.get(path, web.statuses.get("", 0))
            if path in web.redirects:
                self._send(302, b"", Location=web.redirects[path])
            elif status:
                self._send(status, b"<Error>secret of the server</Error>")
            elif path.startswith("/hang"):
                web.closing.wait(30)
                self.close_connection = True
            elif path.startswith(("/silent", "/trickle", "/short", "/endless")):
                self._fail_midway(path)
            elif path in web.pages:
                self._send(200, web.pages[path])
            else:
                self._send(404, b"no such page")

        def _send(self, status: int, body: bytes, **headers: str) -> None:
            self.send_response(status)
            for name, value in ({"Content-Length": str(len(body))} | web.headers | headers).items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def _fail_midway(self, path: str) -> None:
            self.close_connection = True
            self.send_response(200)
            if not path.startswith("/endless"):
                self.send_header("Content-Length", "1000")
            self.end_headers()
            if path.startswith("/short"):
                self.wfile.write(b"x" * 10)
            elif path.startswith("/endless"):
                while not web.closing.is_set():
                    self.wfile.write(b"x" * 2**16)
            elif path.startswith("/silent"):
                web.closing.wait(30)
            else:
                while not web.closing.is_set():
                    self.wfile.write(b"x")
                    time.sleep(0.05)

        def handle_one_request(self) -> None:
            try:
                super().handle_one_request()
            except OSError:  # A client that refuses the certificate.
                self.close_connection = True

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing."""

    class Server(ThreadingHTTPServer):
        daemon_threads = True
        allow_reuse_address = True

    with Server(("127.0.0.1", port), Handler) as server:
        web.port = server.server_port
        if tls is not None:
            server.socket = tls.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        try:
            yield web
        finally:
            web.closing.set()
            server.shutdown()
            thread.join()
