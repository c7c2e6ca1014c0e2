"""The addresses of pictures: faces and scans, for users, and what is public for anyone."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol, TypeVar
from urllib.parse import quote

from psycopg import Connection
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from catalogue.pictures import ScanFile, scan_file, scan_of_face
from catalogue.public import is_face_public, is_scan_public
from web.access_checks import PUBLIC
from web.crops import FACE_SIZES, SCAN_SIZES, Crops
from web.crops_cutting import NoPicture, Trouble
from web.crops_placeholder import DESCRIPTIONS, placeholder

Answer = TypeVar("Answer")
Describe = Callable[[Request, Trouble], str]
"""What is written on the drawing where there is no picture, in the language of the request."""

# For so many seconds browsers do not ask again. Afterwards they do, by the ETag.
_MAX_AGE_S = 600
_UNKNOWN = NoPicture("unknown", "there is no such face or scan, or not in this size")


class Ask(Protocol):
    """Runs a query of the catalogue with a connection, beside the event loop."""

    def __call__(self, query: Callable[[Connection], Answer]) -> Awaitable[Answer]:
        """What the query returns."""


def crop_url(face_id: str, size: int, *, public: bool = False) -> str:
    """The address of a face's picture. `size` is one of FACE_SIZES."""
    return f"{PUBLIC if public else ''}/crops/{quote(face_id, safe='')}/{size}.jpg"


def scan_url(scan_id: str, size: int, *, public: bool = False) -> str:
    """The address of a scan's picture. `size` is one of SCAN_SIZES."""
    return f"{PUBLIC if public else ''}/scans/{quote(scan_id)}/{size}.jpg"


def crop_routes(
    crops: Crops,
    ask: Ask,
    public_collections: Sequence[str] = (),
    describe: Describe = lambda _, trouble: DESCRIPTIONS[trouble],
) -> list[BaseRoute]:
    """The routes of all pictures, for a `crops` that has been entered by the time of the first request."""
    pictures = _Pictures(crops, ask, public_collections, describe)
    routes: list[BaseRoute] = []
    for start in ("", PUBLIC) if public_collections else ("",):
        routes += [
            Route(start + "/crops/{face_id}/{size:int}.jpg", pictures.face),
            Route(start + "/scans/{scan_id:path}/{size:int}.jpg", pictures.scan),
        ]
    return routes


class _Pictures:
    def __init__(self, crops: Crops, ask: Ask, public_collections: Sequence[str], describe: Describe) -> None:
        self._crops = crops
        self._ask = ask
        self._public_collections = public_collections
        self._describe = describe

    async def face(self, request: Request) -> Response:
        face_id, size = request.path_params["face_id"], request.path_params["size"]

        def find(connection: Connection) -> ScanFile | None:
            if _is_public(request) and not is_face_public(connection, self._public_collections, face_id):
                return None
            return scan_of_face(connection, face_id)

        scan = await self._ask(find) if size in FACE_SIZES and _is_id(face_id) else None
        face = next((one for one in scan.faces if one.face_id == face_id), None) if scan else None
        if scan is None or face is None:
            return self._without(request, _UNKNOWN, square=True)
        etag = self._crops.face_name(scan, face, size)
        if _is_known(request, etag):
            return _not_modified(etag)
        made = await self._crops.face(scan, face, size)
        return self._without(request, made, square=True) if isinstance(made, NoPicture) else _picture(made, etag)

    async def scan(self, request: Request) -> Response:
        scan_id, size = request.path_params["scan_id"], request.path_params["size"]

        def find(connection: Connection) -> ScanFile | None:
            if _is_public(request) and not is_scan_public(connection, self._public_collections, scan_id):
                return None
            return scan_file(connection, scan_id)

        scan = await self._ask(find) if size in SCAN_SIZES and _is_id(scan_id) else None
        if scan is None:
            return self._without(request, _UNKNOWN, square=False)
        etag = self._crops.scan_name(scan, size)
        if _is_known(request, etag):
            return _not_modified(etag)
        made = await self._crops.scan(scan, size)
        return self._without(request, made, square=False) if isinstance(made, NoPicture) else _picture(made, etag)

    def _without(self, request: Request, why: NoPicture, *, square: bool) -> Response:
        description = self._describe(request, why.trouble)
        # The reason names a file, which is nobody's business outside.
        reason = description if _is_public(request) else why.reason
        return placeholder(why.trouble, description, reason, square=square)


def _is_public(request: Request) -> bool:
    return request.url.path.startswith(PUBLIC + "/")


def _is_id(text: str) -> bool:
    # PostgreSQL has no NUL in its texts.
    return bool(text) and "\x00" not in text


def _headers(etag: str) -> dict[str, str]:
    return {"ETag": f'"{etag}"', "Cache-Control": f"private, max-age={_MAX_AGE_S}"}


def _picture(jpeg: bytes, etag: str) -> Response:
    return Response(jpeg, headers=_headers(etag), media_type="image/jpeg")


def _not_modified(etag: str) -> Response:
    return Response(status_code=304, headers=_headers(etag))


def _is_known(request: Request, etag: str) -> bool:
    known = request.headers.get("if-none-match", "")
    return any(one.strip().removeprefix("W/") == f'"{etag}"' for one in known.split(","))
