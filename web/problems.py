"""What a page cannot show or a decision cannot do, as a page or a part of one."""

from __future__ import annotations

import structlog
from psycopg import DataError, Error
from psycopg_pool import PoolTimeout
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from errors import FacestreamError
from web.access_log import place
from web.render import fragment, page, texts

log = structlog.get_logger()


class NotThere(HTTPException):
    """What a page is about is not in the archive."""

    def __init__(self) -> None:
        super().__init__(404)


def not_there(request: Request, error: Exception) -> Response:
    """The page for an address that leads nowhere, and for other refusals by their status."""
    if _is_for_a_part(request):
        # The page around it says so itself once it is shown again.
        return Response(status_code=204)
    t = texts(request)
    status = error.status_code if isinstance(error, HTTPException) else 404
    return page(request, "message", t.text("not-found"), status, why=t.text("not-found-why"))


def refused(request: Request, status: int, _: str) -> Response:
    """The page for what web.access refuses, in the language of the reader."""
    t = texts(request)
    return page(request, "message", t.text("refused-title"), status, why=t.text(f"refused-{request.state.refusal}"))


def unavailable(request: Request, error: Exception) -> Response:
    """The page for when PostgreSQL or Kafka does not answer."""
    t = texts(request)
    # Not the text of the error: PostgreSQL's may quote names.
    path = request.scope["route"].path if "route" in request.scope else ""
    log.error("not answered", path=path, kind=type(error).__name__, place=place(error))
    if request.method == "POST":
        return fragment(request, "answer", 503, text=t.text("sent-again"), undo=False)
    if _is_for_a_part(request):
        answer = fragment(request, "answer", 503, text=t.text("unavailable-why"), undo=False)
        answer.headers.update({"HX-Retarget": "#answer", "HX-Reswap": "innerHTML", "HX-Reselect": "unset"})
        return answer
    return page(request, "message", t.text("unavailable"), 503, why=t.text("unavailable-why"))


def _is_for_a_part(request: Request) -> bool:
    """Whether what was asked for is a part of the page that is shown, where a page would be one within the other."""
    headers = request.headers
    return request.method == "GET" and "hx-request" in headers and headers.get("hx-target") != "part"


HANDLERS = {
    404: not_there,
    405: not_there,
    # A zero byte in an address, which PostgreSQL's texts cannot hold: nothing is called so.
    DataError: not_there,
    Error: unavailable,
    PoolTimeout: unavailable,
    FacestreamError: unavailable,
}
"""By status or exception, for Starlette."""
