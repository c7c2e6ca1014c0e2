"""Serves the desk from a thread of this process until its context ends."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime

import uvicorn

from errors import UserError
from settings import Settings
from web.access import Access
from web.app import create_app
from web.desk import Desk
from web.problems import refused

# Ports that are tried after one that is in use.
_FURTHER_PORTS = 20
_STARTED_WITHIN_S = 30.0


@contextmanager
def served(settings: Settings, now: Callable[[], datetime], local_user: str, *, exactly: bool) -> Iterator[str]:
    """Serve the desk at the host and port of the settings, and yield its address.

    exactly: raise UserError where the port is in use; without it the next free one is taken. Raises UserError where the
    settings would let anyone in (web.access).
    """
    host = settings.desk.host
    access = Access(settings.desk, local_user, refused)
    listening = _listen(host, settings.desk.port, 0 if exactly else _FURTHER_PORTS)
    with listening, Desk(settings, now) as desk:
        config = uvicorn.Config(create_app(desk, access), lifespan="on", **access.uvicorn)
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, args=([listening],), name="desk")
        thread.start()
        try:
            _wait_until_started(server, thread)
            name = f"[{host}]" if ":" in host else host
            yield settings.desk.url or f"http://{name}:{listening.getsockname()[1]}"
        finally:
            desk.ending.set()
            server.should_exit = True
            thread.join()


def _listen(host: str, port: int, further: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    for number in range(port, port + further + 1):
        listening = socket.socket(family)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listening.bind((host, number))
        except OSError as error:
            listening.close()
            reason = error.strerror
            continue
        return listening
    raise UserError(f"the desk cannot listen on {host}, port {port}: {reason}; --port takes another one")


def _wait_until_started(server: uvicorn.Server, thread: threading.Thread) -> None:
    deadline = time.monotonic() + _STARTED_WITHIN_S
    while not server.started:
        if not thread.is_alive() or time.monotonic() > deadline:
            raise UserError("the desk has not started: its log says why")
        time.sleep(0.02)
