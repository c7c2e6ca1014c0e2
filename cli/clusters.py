"""`facestream clusters`: the clusters of the catalogue, or of another eps, the largest first."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import typer
from psycopg import Connection
from rich.table import Table

from catalogue import decisions, reader
from catalogue.reader import CatalogueFace, Cluster
from cli.archive import connected, open_archive, open_catalogue
from cli.common import load_settings
from cli.options import Data, Json
from cli.printing import console, folded, identifier, number, print_json
from errors import UserError
from settings import Settings

if TYPE_CHECKING:
    from clustering.what_if import HypotheticalClusters

_SHOWN = 20
# Faces read from the catalogue at a time.
_AT_ONCE = 5000


@dataclass(frozen=True)
class _Counts:
    faces: int
    clusters: int
    noise: int


def clusters(
    limit: Annotated[
        int | None,
        typer.Option(min=1, help="Show at most this many clusters.", show_default=f"{_SHOWN}, or all with --json"),
    ] = None,
    eps: Annotated[
        float | None,
        typer.Option(
            min=0,
            help="The clusters at this eps, up to eps_max: computed from the known neighbours, "
            "nothing is searched or changed.",
            show_default="the clusters as they are",
        ),
    ] = None,
    data: Data = None,
    json_: Json = False,
) -> None:
    """The clusters, the largest first: their faces, scans, and the names given in them. Noise is in none."""
    settings = load_settings(data)
    if not json_:
        limit = limit or _SHOWN
    if eps is None:
        with open_catalogue(settings, "clusters") as connection:
            _print_published(connection, limit, json_)
    else:
        with open_archive(settings, "clusters") as running, connected(running.database) as connection:
            _print_hypothetical(connection, _hypothetical(running, eps), limit, json_)


def _print_published(connection: Connection, limit: int | None, json_: bool) -> None:
    if json_:
        _print_json((str(faces[0].cluster_id), faces) for faces in reader.faces_of_clusters(connection, limit))
        return
    counts = reader.counts(connection)
    _print_table(
        _Counts(counts.faces, counts.clusters, counts.noise), reader.clusters(connection, limit), _names(connection)
    )


def _print_hypothetical(
    connection: Connection, hypothetical: HypotheticalClusters, limit: int | None, json_: bool
) -> None:
    clusters_with_faces = _with_faces(connection, hypothetical, limit)
    if json_:
        _print_json(clusters_with_faces)
        return
    sizes = hypothetical.sizes()
    faces = len(hypothetical.face_ids)
    counts = _Counts(faces, len(sizes), faces - sum(sizes.values()))
    _print_table(
        counts, [_summary(cluster_id, members) for cluster_id, members in clusters_with_faces], _names(connection)
    )


def _hypothetical(settings: Settings, eps: float) -> HypotheticalClusters:
    # Imported here, since the published clusters are shown without them.
    from clustering.what_if import hypothetical_clusters
    from consumers.generation_clustering import live_clustering, live_settings

    # The live generation may have been built with other limits than those of the settings.
    eps_max = live_settings(settings).clustering.eps_max
    if eps > eps_max:
        raise UserError(f"--eps: eps {eps} is larger than eps_max {eps_max}: edges beyond eps_max are not kept")
    try:
        return hypothetical_clusters(live_clustering(settings), eps)
    except ValueError as error:
        raise UserError(str(error)) from error


def _with_faces(
    connection: Connection, hypothetical: HypotheticalClusters, limit: int | None
) -> Iterator[tuple[str, list[CatalogueFace]]]:
    """Each cluster with its faces from the catalogue, the largest cluster first.

    A face that is not in the catalogue yet, or was just withdrawn, is left out.
    """
    members = hypothetical.members()
    largest = sorted(members, key=lambda cluster_id: (-len(members[cluster_id]), cluster_id))[:limit]
    for batch in _batches(largest, members):
        face_ids = [face_id for cluster_id in batch for face_id in members[cluster_id]]
        known = {face.face_id: face for face in reader.faces(connection, face_ids)}
        for cluster_id in batch:
            faces = [known[face_id] for face_id in sorted(members[cluster_id]) if face_id in known]
            if faces:
                yield cluster_id, faces


def _batches(cluster_ids: Sequence[str], members: dict[str, list[str]]) -> Iterator[list[str]]:
    batch: list[str] = []
    count = 0
    for cluster_id in cluster_ids:
        batch.append(cluster_id)
        count += len(members[cluster_id])
        if count >= _AT_ONCE:
            yield batch
            batch, count = [], 0
    yield batch


def _summary(cluster_id: str, faces: Sequence[CatalogueFace]) -> Cluster:
    scans = {face.scan_id for face in faces}
    label_ids = sorted({face.label_id for face in faces if face.label_id is not None})
    return Cluster(cluster_id, len(faces), len(scans), label_ids, min(scans))


def _print_json(clusters_with_faces: Iterable[tuple[str, Sequence[CatalogueFace]]]) -> None:
    for cluster_id, members in clusters_with_faces:
        faces = [
            {"face_id": face.face_id, "scan_id": face.scan_id, "uri": face.uri, "box": face.box.model_dump()}
            for face in members
        ]
        print_json({"cluster_id": cluster_id, "size": len(faces), "faces": faces})


def _names(connection: Connection) -> dict[str, str]:
    return {person.label_id: person.name for person in decisions.people(connection)}


def _print_table(counts: _Counts, shown: Sequence[Cluster], names: dict[str, str]) -> None:
    table = Table(
        *(identifier("cluster"), number("faces"), number("scans"), folded("named"), folded("on the scan")),
        title=f"Faces: {counts.faces:,}, clusters: {counts.clusters:,}",
    )
    for cluster in shown:
        table.add_row(
            cluster.cluster_id,
            f"{cluster.size:,}",
            f"{cluster.scans:,}",
            ", ".join(names.get(label_id, label_id) for label_id in cluster.label_ids),
            cluster.example_scan_id,
        )
    console.print(table)
    if counts.noise:
        console.print(f"faces in no cluster (noise): {counts.noise:,}")
    if counts.clusters > len(shown):
        console.print(f"more clusters, which a larger --limit shows: {counts.clusters - len(shown):,}")
