"""A small application behind `web.access`, in this process or served by uvicorn on a free port."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import BaseRoute, Route
from starlette.testclient import TestClient

from settings import DeskSettings
from web.access import Access

HERE = "http://127.0.0.1:8000"
SECRET = "not so secret: thirty-two characters"


async def _who(request: Request) -> Response:
    user = request.state.user
    return JSONResponse({"name": user.name, "roles": sorted(user.roles), "sign_out": request.state.sign_out})


async def _ok(_: Request) -> Response:
    return PlainTextResponse("done")


async def _fail(request: Request) -> Response:
    raise ValueError(f"{request.path_params['name']} cannot be used")


async def _kept(_: Request) -> Response:
    return PlainTextResponse("kept", headers={"Cache-Control": "private, max-age=600"})


ROUTES: Sequence[BaseRoute] = (
    Route("/", _who),
    Route("/decisions", _ok, methods=["POST", "PUT", "DELETE"]),
    Route("/operate/withdraw", _ok, methods=["GET", "POST"]),
    Route("/static/desk.js", _ok),
    Route("/public/people", _ok, methods=["GET", "POST"]),
    Route("/people/{name}", _fail),
    Route("/kept", _kept),
)


def application(settings: DeskSettings, routes: Sequence[BaseRoute] = ROUTES, **options: Any) -> Starlette:  # noqa: ANN401
    access = Access(settings, "mari")
    return Starlette(routes=[*access.routes, *routes], middleware=access.middleware, **options)


def browser(settings: DeskSettings, url: str = HERE, peer: str = "127.0.0.1") -> TestClient:
    """What a browser at this address sends, without any header of its own."""
    return TestClient(application(settings), base_url=url, client=(peer, 50_000), follow_redirects=False)


def free_port() -> int:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        return int(bound.getsockname()[1])


@contextmanager
def served(settings: DeskSettings, routes: Sequence[BaseRoute] = ROUTES, lifespan: Any = None) -> Iterator[str]:  # noqa: ANN401
    """The address of the application, served as `facestream desk` serves it."""
    access = Access(settings, "mari")
    app = Starlette(routes=[*access.routes, *routes], middleware=access.middleware, lifespan=lifespan)
    server = uvicorn.Server(uvicorn.Config(app, **access.uvicorn))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    try:
        for _ in range(200):
            if server.started:
                break
            thread.join(0.05)
        yield f"http://{settings.host}:{settings.port}"
    finally:
        server.should_exit = True
        thread.join(20)
