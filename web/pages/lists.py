"""*History*, *Orphans* and *Search*."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from heapq import nlargest
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import Response

from catalogue import browse, decisions
from decisions.people import find_people
from web.desk import desk_of
from web.entries import clause, entries
from web.pages.people import listed_people
from web.render import page, texts

_ENTRIES = 100
_SCANS = 120
_COLLECTIONS = 200
_PEOPLE = 24


@dataclass(frozen=True)
class _Orphan:
    """A decision about a face that is not there, and why it is not."""

    decision_id: str
    author: str
    decided_at: datetime
    missing_face_id: str
    text: str
    scan_id: str | None
    why: str


def history_page(request: Request) -> Response:
    """All decisions, newest first: `by` one author, `before` a decision."""
    desk, t = desk_of(request), texts(request)
    by, before = request.query_params.get("by", ""), request.query_params.get("before", "")
    with desk.writer.reading() as known:
        start = known.get(before)
        some = (it for it in known if (not by or it.author == by) and (start is None or it.order < start.order))
        newest = nlargest(_ENTRIES + 1, some, key=lambda decision: decision.order)
        shown = entries(known, newest[:_ENTRIES], t)
        authors = sorted({decision.author for decision in known})
    more = len(newest) > _ENTRIES
    after = "/history?" + urlencode({"by": by, "before": newest[_ENTRIES - 1].decision_id}) if more else None
    return page(request, "history", t.text("history"), entries=shown, authors=authors, by=by, after=after)


def orphans_page(request: Request) -> Response:
    """The decisions about faces that are not in the archive."""
    desk, t = desk_of(request), texts(request)
    found = desk.kept.get("orphans", lambda: desk.read(decisions.orphans))
    with desk.writer.reading() as known:
        orphans = [
            _Orphan(
                decision_id=orphan.decision_id,
                author=orphan.author,
                decided_at=orphan.decided_at,
                missing_face_id=orphan.missing_face_id,
                text=clause(known, decision, t),
                scan_id=orphan.scan_id,
                why=t.text("reason-" + orphan.reason.replace(" ", "-")),
            )
            for orphan in found
            for decision in [known.get(orphan.decision_id)]
            if decision is not None and known.holds(decision)
        ]
    return page(request, "orphans", t.text("orphans"), orphans=orphans)


def search_page(request: Request) -> Response:
    """People by name, and scans by id, collection and year."""
    desk, t = desk_of(request), texts(request)
    asked = {field: request.query_params.get(field, "").strip() for field in ("q", "collection", "year")}
    wanted = {field: value or None for field, value in asked.items()}
    people = find_people(asked["q"], desk.people(), _PEOPLE) if asked["q"] else []
    scans = []
    if any(asked.values()):
        scans = desk.read(
            lambda connection: browse.scans(connection, wanted["q"], wanted["collection"], wanted["year"], _SCANS)
        )
    collections = desk.kept.get(
        "collections", lambda: desk.read(lambda connection: browse.collections(connection, _COLLECTIONS))
    )
    return page(
        request,
        "search",
        t.text("search"),
        people=listed_people(desk, people),
        scans=scans,
        collections=collections,
        asked=any(asked.values()),
        q=asked["q"],
        collection=asked["collection"],
        year=asked["year"],
    )
