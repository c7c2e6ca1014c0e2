"""*Clusters* and *Cluster*: what was found to be one person, to be named, corrected and joined."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeVar, get_args
from urllib.parse import quote, urlencode

from psycopg import Connection
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from catalogue import browse, reader
from catalogue.browse import ClusterFilter, ClusterOrder, Tile
from decisions.holding import Decisions
from web.desk import MOST_TILES, desk_of
from web.faces import as_decided, face_as_believed
from web.problems import NotThere
from web.render import page, texts

Choice = TypeVar("Choice", bound=str)

# Unnamed clusters are what an archivist is here for.
_FILTERS: Final[tuple[ClusterFilter, ...]] = ("unnamed", "all", "named", "mixed")
_ORDERS: Final[tuple[ClusterOrder, ...]] = get_args(ClusterOrder)

_CLUSTERS_A_PAGE = 120
_EXAMPLES = 4
_NEARBY = 4
# Faces near the most typical one that are looked through for other clusters.
_NEIGHBOURS = 200


@dataclass(frozen=True)
class _Nearby:
    """Another cluster that looks alike; `mine` and `theirs` are the faces that a link would be between."""

    cluster_id: str
    size: int
    distance: float
    tiles: Sequence[Tile]
    mine: str
    theirs: str


def clusters_page(request: Request) -> Response:
    """The clusters: `show` filters them, `order` sorts them, `first` is the number of the first one."""
    desk, t = desk_of(request), texts(request)
    show = _one_of(request.query_params.get("show"), _FILTERS)
    order = _one_of(request.query_params.get("order"), _ORDERS)
    first = number(request, "first")

    def read() -> list[browse.ListedCluster]:
        return desk.read(
            lambda connection: browse.clusters(connection, show, order, _CLUSTERS_A_PAGE + 1, first, _EXAMPLES)
        )

    listed = desk.kept.get(("clusters", show, order, first), read, oldest_s=5.0)

    def address(start: int) -> str:
        return "/clusters?" + urlencode({"show": show, "order": order, "first": start})

    return page(
        request,
        "clusters",
        t.text("clusters"),
        clusters=listed[:_CLUSTERS_A_PAGE],
        filters=_FILTERS,
        orders=_ORDERS,
        show=show,
        order=order,
        before=address(max(0, first - _CLUSTERS_A_PAGE)) if first else None,
        after=address(first + _CLUSTERS_A_PAGE) if len(listed) > _CLUSTERS_A_PAGE else None,
    )


def cluster_page(request: Request) -> Response:
    """The faces of a cluster, `first` on. A cluster that was superseded leads to the one that continues it."""
    desk = desk_of(request)
    cluster_id = request.path_params["cluster_id"]
    first = number(request, "first")
    with desk.pool.connection() as connection:
        members = browse.members(connection, cluster_id)
        if not members.size:
            current = reader.current_cluster(connection, cluster_id)
            if current in (None, cluster_id):
                raise NotThere
            return RedirectResponse(f"/cluster/{quote(str(current))}", 303)
        tiles = browse.faces_of_cluster(connection, cluster_id, MOST_TILES, first)
        labels = browse.labels_of_cluster(connection, cluster_id)
        with desk.writer.reading() as decisions:
            nearby = _nearby(connection, decisions, tiles[0]) if tiles and not first else []
    return _grid(request, tiles, cluster_id=cluster_id, size=members.size, digest=members.digest, first=first,
                 labels=list(labels), named=sum(labels.values()), nearby=nearby)  # fmt: skip


def noise_page(request: Request) -> Response:
    """The faces that are in no cluster, `first` on."""
    first = number(request, "first")
    tiles = desk_of(request).read(lambda connection: browse.noise(connection, MOST_TILES, first))
    size = desk_of(request).read(browse.count_of_noise)
    return _grid(request, tiles, cluster_id="", size=size, digest="", first=first, labels=[], named=0, nearby=[])


def number(request: Request, field: str) -> int:
    """A number of the address, 0 where there is none."""
    text = request.query_params.get(field, "")
    return int(text) if text.isdecimal() and len(text) < 10 else 0


def _grid(request: Request, tiles: Sequence[Tile], **context: Any) -> Response:  # noqa: ANN401
    desk, t = desk_of(request), texts(request)
    with desk.writer.reading() as decisions:
        shown = as_decided(decisions, tiles)
        beliefs = {tile.face_id: face_as_believed(decisions, tile.face_id) for tile in shown}
    rejectable = dict.fromkeys(label for tile in shown for label in (tile.label_id, tile.soft_label) if label)
    size = t.count("faces", context["size"])
    title = t.text("cluster-of", size=size) if context["cluster_id"] else t.text("noise")
    return page(
        request,
        "cluster",
        title,
        heading=title,
        tiles=shown,
        beliefs=beliefs,
        rejectable=list(rejectable)[:3],
        of_noise=not context["cluster_id"],
        here_path=quote(request.url.path),
        **context,
    )


def _nearby(connection: Connection, decisions: Decisions, typical: Tile) -> list[_Nearby]:
    nearest: dict[str, reader.SimilarFace] = {}
    if not reader.has_embedding(connection, typical.face_id):
        return []
    for similar in reader.similar(connection, typical.face_id, _NEIGHBOURS):
        cluster_id = similar.face.cluster_id
        if cluster_id is not None and cluster_id != typical.cluster_id:
            nearest.setdefault(cluster_id, similar)
    return [
        _Nearby(
            cluster_id=cluster_id,
            size=browse.members(connection, cluster_id).size,
            distance=similar.distance,
            tiles=as_decided(decisions, browse.faces_of_cluster(connection, cluster_id, _EXAMPLES)),
            mine=face_as_believed(decisions, typical.face_id),
            theirs=face_as_believed(decisions, similar.face.face_id),
        )
        for cluster_id, similar in list(nearest.items())[:_NEARBY]
    ]


def _one_of(value: str | None, choices: Sequence[Choice]) -> Choice:
    return next((choice for choice in choices if choice == value), choices[0])
