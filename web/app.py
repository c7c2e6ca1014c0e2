"""The desk as an ASGI application: its routes, and how it starts and ends."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final
from urllib.parse import urlsplit

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles

from web.access import Access
from web.access_oidc import local_path
from web.crops import Crops
from web.crops_cutting import Trouble
from web.crops_routes import crop_routes
from web.decisions import decide
from web.desk import Desk
from web.live import events
from web.pages.clusters import cluster_page, clusters_page, noise_page
from web.pages.faces import face_page, scan_page
from web.pages.lists import history_page, orphans_page, search_page
from web.pages.next import next_page
from web.pages.people import clusters_that_may_be, options, people_page, person_page, questions
from web.pages.public import public_routes
from web.pages.status import board, status_page
from web.problems import HANDLERS
from web.render import STATIC, texts
from web.strings import LANGUAGES

_A_YEAR_S: Final = 365 * 24 * 3600


def create_app(desk: Desk, access: Access) -> Starlette:
    """The application on an open archive."""
    crops = Crops(desk.settings)

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        async with crops:
            yield

    pictures = crop_routes(crops, desk.ask, desk.settings.desk.public_collections, _describe)
    app = Starlette(
        routes=[*access.routes, *pictures, *public_routes(), *_routes()],
        middleware=access.middleware,
        exception_handlers=HANDLERS,
        lifespan=lifespan,
    )
    app.state.desk = desk
    return app


def _describe(request: Request, trouble: Trouble) -> str:
    """What is written where there is no picture."""
    return texts(request).text(f"picture-{trouble}")


def _routes() -> list[BaseRoute]:
    return [
        Route("/", _home),
        Route("/next", next_page),
        Route("/clusters", clusters_page),
        Route("/cluster/{cluster_id:path}", cluster_page),
        Route("/noise", noise_page),
        Route("/people", people_page),
        Route("/people/options", options),
        Route("/person/{label_id:path}", person_page),
        Route("/questions/{label_id:path}", questions),
        Route("/clusters-that-may-be/{label_id:path}", clusters_that_may_be),
        Route("/face/{face_id:path}", face_page),
        Route("/scan/{scan_id:path}", scan_page),
        Route("/history", history_page),
        Route("/orphans", orphans_page),
        Route("/search", search_page),
        Route("/operate/status", status_page),
        Route("/operate/board", board),
        Route("/decisions", decide, methods=["POST"]),
        Route("/events", events),
        Route("/language/{language}", _language),
        Mount("/static", StaticFiles(directory=STATIC)),
    ]


def _home(_: Request) -> Response:
    return RedirectResponse("/next", 303)


def _language(request: Request) -> Response:
    """Answer in this language from now on, and show the page again on which it was chosen."""
    page = urlsplit(request.headers.get("referer", ""))
    here = f"{page.path}?{page.query}" if page.netloc == request.url.netloc else "/"
    response = RedirectResponse(local_path(here), 303)
    if request.path_params["language"] in LANGUAGES:
        response.set_cookie(
            "language", request.path_params["language"], max_age=_A_YEAR_S, httponly=True, samesite="lax"
        )
    return response
