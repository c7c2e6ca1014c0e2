"""*Face* and *Scan*: one face with all that is known of it, and a scan with its faces."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from psycopg import Connection
from starlette.requests import Request
from starlette.responses import Response

from catalogue import browse, reader
from catalogue.browse import Tile
from decisions.holding import Decisions
from web.desk import desk_of
from web.entries import entries
from web.faces import as_decided, face_as_believed, last_decision, proposals
from web.problems import NotThere
from web.render import page, texts

_SIMILAR = 24
_ZOOMS = (1, 2, 4)


@dataclass(frozen=True)
class _Similar:
    """A face near another. relation: `linked` or `separated` where that was decided, else empty."""

    tile: Tile
    distance: float
    belief: str
    relation: str


def face_page(request: Request) -> Response:
    """A face: its name, its history with an undo for each decision, its scan, and the faces most like it."""
    desk, t = desk_of(request), texts(request)
    face_id = request.path_params["face_id"]
    with desk.pool.connection() as connection:
        found = browse.tiles(connection, [face_id]).get(face_id)
        if found is None:
            raise NotThere
        near = reader.similar(connection, face_id, _SIMILAR) if reader.has_embedding(connection, face_id) else []
        near_tiles = browse.tiles(connection, [it.face.face_id for it in near])
        on_scan = browse.faces_of_scan(connection, found.scan_id)
        width, height = browse.scan_size(connection, found.scan_id) or (1, 1)
        with desk.writer.reading() as decisions:
            (tile,) = as_decided(decisions, [found]) or [found]
            labels = decisions.labels(face_id)
            return page(
                request,
                "face",
                desk.name(tile.label_id) if tile.label_id else t.text("face"),
                tile=tile,
                not_a_face=labels.not_a_face,
                rejected=sorted(labels.rejected),
                belief=face_as_believed(decisions, face_id),
                last=last_decision(decisions, face_id),
                proposals=_proposals(connection, decisions, request, face_id),
                entries=entries(decisions, reversed(decisions.history(face_id)), t),
                similar=_similar(decisions, face_id, near, near_tiles),
                boxes=[(it, box) for other, box in on_scan for it in as_decided(decisions, [other])],
                width=width,
                height=height,
            )


def scan_page(request: Request) -> Response:
    """A scan with the boxes and names of its faces; `zoom` is 1, 2 or 4."""
    desk = desk_of(request)
    scan_id = request.path_params["scan_id"]
    zoom = next((it for it in _ZOOMS if str(it) == request.query_params.get("zoom")), 1)
    with desk.pool.connection() as connection:
        scan = reader.scan(connection, scan_id)
        if scan is None:
            raise NotThere
        size = browse.scan_size(connection, scan_id)
        on_scan = browse.faces_of_scan(connection, scan_id)
    width, height = size or (4, 3)
    with desk.writer.reading() as decisions:
        boxes = [(it, box) for tile, box in on_scan for it in as_decided(decisions, [tile])]
    context: dict[str, Any] = {
        "scan": scan,
        "boxes": boxes,
        "analysed": size is not None,
        "width": width,
        "height": height,
    }
    return page(request, "scan", scan_id, zoom=zoom, **context)


def _proposals(connection: Connection, decisions: Decisions, request: Request, face_id: str) -> Sequence[object]:
    return proposals(connection, decisions, face_id, desk_of(request).radius(connection), texts(request))


def _similar(
    decisions: Decisions, face_id: str, near: Sequence[reader.SimilarFace], tiles: dict[str, Tile]
) -> list[_Similar]:
    linked, separated = decisions.linked(face_id), decisions.separated(face_id)
    return [
        _Similar(
            tile=tile,
            distance=it.distance,
            belief=face_as_believed(decisions, tile.face_id),
            relation="linked" if tile.face_id in linked else "separated" if tile.face_id in separated else "",
        )
        for it in near
        if it.face.face_id in tiles
        for tile in as_decided(decisions, [tiles[it.face.face_id]])
    ]
