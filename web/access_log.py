"""The log of requests, without anything about people: no names, no ids, no queries, no addresses.

A line has the pattern of the route (/face/{face_id}), not the path. Of an error it has the kind and the place: its text
may quote a name.
"""

from __future__ import annotations

import time
import traceback
from collections.abc import Callable
from pathlib import Path

import structlog
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from web.access_checks import STATIC
from web.access_texts import FAILED, Refusal

_ROOT = Path(__file__).parents[1]

# What pages ask for by themselves, and operators' pages every other second: only failures of it are news.
_OFTEN = (STATIC, "/operate/board")

log = structlog.get_logger()


class RequestLog:
    """Logs the requests, and answers those that fail."""

    def __init__(self, app: ASGIApp, refuse: Callable[[Request, Refusal], Response]) -> None:
        self._app = app
        self._refuse = refuse

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started, status = time.monotonic(), 0

        async def send_and_note(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, send_and_note)
        except Exception as error:  # noqa: BLE001 - whatever it is, the server would log its text
            log.error("a request failed", route=_route(scope), error=type(error).__name__, place=place(error))
            if status:  # A page that has begun breaks off: the connection is closed without its end.
                raise ConnectionAbortedError("the response broke off") from None
            await self._refuse(Request(scope), FAILED)(scope, receive, send_and_note)
        if status >= 400 or not scope["path"].startswith(_OFTEN):
            seconds = round(time.monotonic() - started, 3)
            log.info("request", method=scope["method"], route=_route(scope), status=status, seconds=seconds)


def _route(scope: Scope) -> str:
    # Starlette sets it when a route matched.
    return getattr(scope.get("route"), "path", None) or "-"


def place(error: BaseException) -> str:
    """Where an error was raised: the innermost line of the project, or of all."""
    frames = traceback.extract_tb(error.__traceback__)
    own = [it for it in frames if Path(it.filename).is_relative_to(_ROOT) and "site-packages" not in it.filename]
    frame = (own or frames)[-1]
    name = Path(frame.filename)
    return f"{name.relative_to(_ROOT) if own else name.name}:{frame.lineno}"
