"""The desk as an ASGI application: its routes, and how it starts and ends."""

from __future__ import annotations

from typing import Final
from urllib.parse import urlsplit

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from web.decisions import decide
from web.desk import Desk
from web.live import events
from web.pages.clusters import cluster_page, clusters_page, noise_page
from web.pages.faces import face_page, scan_page
from web.pages.lists import history_page, orphans_page, search_page
from web.pages.next import next_page
from web.pages.people import options, people_page, person_page, questions
from web.problems import HANDLERS
from web.render import STATIC
from web.strings import LANGUAGES

_A_YEAR_S: Final = 365 * 24 * 3600


def create_app(desk: Desk) -> Starlette:
    """The application on an open archive."""
    app = Starlette(routes=_routes(), exception_handlers=HANDLERS)
    app.state.desk = desk
    return app


def _routes() -> list[Route | Mount]:
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
        Route("/face/{face_id:path}", face_page),
        Route("/scan/{scan_id:path}", scan_page),
        Route("/history", history_page),
        Route("/orphans", orphans_page),
        Route("/search", search_page),
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
    here = f"{page.path}?{page.query}" if page.netloc == request.url.netloc and page.path.startswith("/") else "/next"
    response = RedirectResponse(here, 303)
    if request.path_params["language"] in LANGUAGES:
        response.set_cookie(
            "language", request.path_params["language"], max_age=_A_YEAR_S, httponly=True, samesite="lax"
        )
    return response
