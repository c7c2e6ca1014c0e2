"""*Status*, for operators: how far each consumer is, what detect waits for, the generations, and the counts."""

from __future__ import annotations

from typing import Any

import structlog
from psycopg import Error
from psycopg_pool import PoolTimeout
from starlette.requests import Request
from starlette.responses import Response

from errors import FacestreamError
from web.desk import desk_of
from web.render import fragment, page, texts

log = structlog.get_logger()

_RENEWED_EVERY_S = 2


def status_page(request: Request) -> Response:
    """The page, which renews itself; with `still`, as it is at this moment."""
    seen, status = _seen(request)
    still = "still" in request.query_params
    return page(request, "status", texts(request).text("status"), status, still=still, every_s=_RENEWED_EVERY_S, **seen)


def board(request: Request) -> Response:
    """What the page shows in its place time and again."""
    seen, status = _seen(request)
    return fragment(request, "board", status, **seen)


def _seen(request: Request) -> tuple[dict[str, Any], int]:
    """What the templates show, and the status of the answer."""
    try:
        return {"look": desk_of(request).board.look()}, 200
    except (FacestreamError, Error, PoolTimeout) as error:
        # The page stays and asks again, unlike those of `web.problems`.
        log.warning("no status", kind=type(error).__name__)
        return {"look": None}, 503
