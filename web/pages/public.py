"""What anyone may see, where collections are released: confirmed names, their faces, and the scans they are on.

Only `catalogue.public` is read here. There are no forms, no authors and no notes.
"""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from catalogue import browse, public
from web.access_checks import PUBLIC
from web.desk import MOST_TILES, Desk, desk_of
from web.pages.clusters import number
from web.problems import NotThere
from web.render import public_page, texts


def public_routes() -> list[BaseRoute]:
    """The routes of the public view."""
    return [
        Route(PUBLIC, _people),
        Route(PUBLIC + "/person/{label_id:path}", _person),
        Route(PUBLIC + "/scan/{scan_id:path}", _scan),
    ]


def _people(request: Request) -> Response:
    """The people with a confirmed name on a released scan, `first` on."""
    desk, first = desk_of(request), number(request, "first")
    people = desk.read(
        lambda connection: public.people(connection, _released(desk), MOST_TILES + 1, first),
    )
    after = f"{PUBLIC}?first={first + MOST_TILES}" if len(people) > MOST_TILES else None
    return public_page(request, "public_people", texts(request).text("people"), people=people[:MOST_TILES], after=after)


def _person(request: Request) -> Response:
    """A person's confirmed faces, `first` on."""
    desk, first = desk_of(request), number(request, "first")
    label_id = request.path_params["label_id"]
    faces = desk.read(
        lambda connection: public.faces_of(connection, _released(desk), label_id, MOST_TILES + 1, first),
    )
    if not faces:
        raise NotThere
    after = f"?first={first + MOST_TILES}" if len(faces) > MOST_TILES else None
    return public_page(request, "public_person", faces[0].name, faces=faces[:MOST_TILES], after=after)


def _scan(request: Request) -> Response:
    """A released scan with its confirmed names."""
    desk = desk_of(request)
    scan_id = request.path_params["scan_id"]
    with desk.pool.connection() as connection:
        faces = public.faces_on(connection, _released(desk), scan_id)
        if not faces:
            raise NotThere
        width, height = browse.scan_size(connection, scan_id) or (4, 3)
    return public_page(request, "public_scan", scan_id, scan_id=scan_id, faces=faces, width=width, height=height)


def _released(desk: Desk) -> tuple[str, ...]:
    return desk.settings.desk.public_collections
