"""*Next*: one face after the other, those first whose names settle most others."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import urlencode

from psycopg import Connection
from starlette.requests import Request
from starlette.responses import Response

from catalogue import browse, suggestions
from catalogue.browse import Tile
from catalogue.suggestions import NextFace
from decisions.holding import Decisions
from decisions.identities import Person
from schemas.decisions import NotSure
from schemas.scans import Box
from web.desk import Desk, desk_of, user_of
from web.faces import PROPOSALS, Proposal, as_decided, face_as_believed, last_decision, named_lately, proposals
from web.render import page, texts
from web.strings import Words

# Clusters read at a time. Those that were skipped, or whose face was named a moment ago, are left out; so many more are
# read where all are.
_QUEUES = (20, 200)
_STRIP = 11
# Skipped faces that an address can carry.
_MOST_SKIPPED = 150
# The queue may be this old: a cluster that was settled meanwhile is left out anyway.
_FRESH_S, _OLDEST_S = 1.0, 30.0


@dataclass(frozen=True)
class _Item:
    """The face to name, and all that the page shows of it."""

    tile: Tile
    size: int
    others: int
    digest: str
    belief: str
    last: str
    proposals: Sequence[Proposal]
    lately: Sequence[Person]
    strip: Sequence[Tile]
    boxes: Sequence[tuple[Tile, Box]]
    width: int
    height: int


def next_page(request: Request) -> Response:
    """The next face, or the one that `face` names; without those in `skip`."""
    desk, t = desk_of(request), texts(request)
    skipped = request.query_params.getlist("skip")[-_MOST_SKIPPED:]
    face_id = request.query_params.get("face") or _first(desk, skipped)
    item = desk.read(lambda connection: _item(connection, desk, face_id, user_of(request).name, t)) if face_id else None
    return page(
        request,
        "next",
        t.text("next"),
        item=item,
        skipped=bool(skipped),
        self_url=_address(skipped),
        skip_url=_address([*skipped, face_id] if face_id else skipped),
    )


def has_next(desk: Desk, skipped: Sequence[str] = ()) -> bool:
    """Whether there is a face to name."""
    return _first(desk, skipped) is not None


def _address(skipped: Sequence[str]) -> str:
    return "/next" + "?" * bool(skipped) + urlencode([("skip", it) for it in skipped])


def _first(desk: Desk, skipped: Sequence[str]) -> str | None:
    for length in _QUEUES:
        queue = _queue(desk, length)
        open_faces = (it.face_id for it in queue if it.face_id not in skipped)
        with desk.writer.reading() as decisions:
            first = next((it for it in open_faces if not _is_decided(decisions, it, desk.now())), None)
        if first is not None or len(queue) < length:
            return first
    return None


def _queue(desk: Desk, length: int) -> Sequence[NextFace]:
    return desk.kept.get(
        ("queue", length),
        lambda: desk.read(lambda connection: suggestions.next_faces(connection, length)),
        fresh_s=_FRESH_S,
        oldest_s=_OLDEST_S,
    )


def _is_decided(decisions: Decisions, face_id: str, now: datetime) -> bool:
    """Whether a decision was made that the queue may not know of yet."""
    labels = decisions.labels(face_id)
    if labels.hard is not None or labels.not_a_face:
        return True
    return any(
        isinstance(last, NotSure) and (now - last.decided_at).total_seconds() < _OLDEST_S
        for last in decisions.history(face_id)[-1:]
    )


def _item(connection: Connection, desk: Desk, face_id: str, author: str, t: Words) -> _Item | None:
    tile = browse.tiles(connection, [face_id]).get(face_id)
    if tile is None:
        return None
    cluster_id = tile.cluster_id or ""
    strip = browse.faces_of_cluster(connection, cluster_id, _STRIP) if cluster_id else []
    members = browse.members(connection, cluster_id)
    others = browse.unnamed_others(connection, cluster_id, face_id)
    on_scan = browse.faces_of_scan(connection, tile.scan_id)
    width, height = browse.scan_size(connection, tile.scan_id) or (1, 1)
    with desk.writer.reading() as decisions:
        found = proposals(connection, decisions, face_id, desk.radius(connection), t)
        known = [proposal.label_id for proposal in found]
        return _Item(
            tile=tile,
            size=members.size,
            others=others,
            digest=members.digest,
            belief=face_as_believed(decisions, face_id),
            last=last_decision(decisions, face_id),
            proposals=found,
            lately=named_lately(decisions, author, known, PROPOSALS - len(found)),
            strip=as_decided(decisions, strip),
            boxes=[(it, box) for other, box in on_scan for it in as_decided(decisions, [other])],
            width=width,
            height=height,
        )
