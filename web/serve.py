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
from web.app import create_app
from web.desk import Desk

# Ports that are tried after one that is in use.
_FURTHER_PORTS = 20
_STARTED_WITHIN_S = 30.0
_ENDED_WITHIN_S = 3


@contextmanager
def served(
    settings: Settings, now: Callable[[], datetime], user: str, host: str, port: int, *, exactly: bool
) -> Iterator[str]:
    """Serve the desk, and yield its address.

    exactly: raise UserError where the port is in use; without it the next free one is taken.
    """
    listening = _listen(host, port, 0 if exactly else _FURTHER_PORTS)
    with listening, Desk(settings, now, user) as desk:
        config = uvicorn.Config(
            create_app(desk),
            log_config=None,
            access_log=False,
            proxy_headers=False,
            server_header=False,
            lifespan="on",
            timeout_graceful_shutdown=_ENDED_WITHIN_S,
        )
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, args=([listening],), name="desk")
        thread.start()
        try:
            _wait_until_started(server, thread)
            name = f"[{host}]" if ":" in host else host
            yield f"http://{name}:{listening.getsockname()[1]}"
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
