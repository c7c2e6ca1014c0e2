"""`facestream clusters`: the clusters of the catalogue, or those of another eps, the largest first."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Annotated

import typer
from psycopg import Connection
from rich.table import Table

from catalogue import decisions, reader
from catalogue.connection import connect
from catalogue.reader import CatalogueFace, Cluster
from cli.common import Data, Json, archive, console, load_settings
from clustering.what_if import HypotheticalClusters, hypothetical_clusters
from consumers.cluster import clustering_of, parameters_of
from settings import Settings
from stream.topics import ensure_topics

_SHOWN = 20
# Faces asked of the catalogue at a time.
_AT_ONCE = 5000


@dataclass(frozen=True)
class _Counts:
    faces: int
    clusters: int
    noise: int


def clusters(
    limit: Annotated[
        int | None,
        typer.Option(min=1, help="At most so many clusters.", show_default=f"{_SHOWN}, or all with --json"),
    ] = None,
    eps: Annotated[
        float | None,
        typer.Option(
            help="What the clusters would be at this eps, up to eps_max: from the edges that are there, "
            "nothing is searched or changed.",
            show_default="the clusters as they are",
        ),
    ] = None,
    data: Data = None,
    json_: Json = False,
) -> None:
    """The clusters, the largest first: their faces, scans, and the names given in them. Noise is in none."""
    settings = load_settings(data, clustering={"eps": eps})
    if not json_:
        limit = limit or _SHOWN
    with (
        archive(settings, kafka=eps is not None, command="clusters") as running,
        connect(running.database) as connection,
    ):
        if eps is None:
            if json_:
                _print_json(_as_they_are(connection, limit))
            else:
                counts = reader.counts(connection)
                counted = _Counts(counts.faces, counts.clusters, counts.noise)
                _print_table(counted, reader.clusters(connection, limit), _names(connection))
            return
        partition = _partition(running)
        found = _at_other_eps(connection, partition, limit)
        if json_:
            _print_json(found)
        else:
            sizes = partition.sizes()
            faces = len(partition.face_ids)
            counted = _Counts(faces, len(sizes), faces - sum(sizes.values()))
            _print_table(counted, [_summed_up(*it) for it in found], _names(connection))


def _partition(settings: Settings) -> HypotheticalClusters:
    ensure_topics(settings.kafka)
    parameters = parameters_of(settings.clustering)
    return hypothetical_clusters(clustering_of(settings.kafka, parameters), parameters.eps)


def _as_they_are(connection: Connection, limit: int | None) -> Iterator[tuple[str, list[CatalogueFace]]]:
    for faces in reader.faces_of_clusters(connection, limit):
        yield str(faces[0].cluster_id), faces


def _at_other_eps(
    connection: Connection, partition: HypotheticalClusters, limit: int | None
) -> Iterator[tuple[str, list[CatalogueFace]]]:
    """Each cluster with its faces as the catalogue has them, in the order of `_as_they_are`.

    A face that has not come to the catalogue yet, or was just withdrawn, is left out.
    """
    members = partition.members()
    largest = sorted(members, key=lambda cluster_id: (-len(members[cluster_id]), cluster_id))[:limit]
    for part in _portions(largest, members):
        asked = [face_id for cluster_id in part for face_id in members[cluster_id]]
        known = {face.face_id: face for face in reader.faces(connection, asked)}
        for cluster_id in part:
            faces = [known[face_id] for face_id in sorted(members[cluster_id]) if face_id in known]
            if faces:
                yield cluster_id, faces


def _portions(cluster_ids: Sequence[str], members: dict[str, list[str]]) -> Iterator[list[str]]:
    part: list[str] = []
    count = 0
    for cluster_id in cluster_ids:
        part.append(cluster_id)
        count += len(members[cluster_id])
        if count >= _AT_ONCE:
            yield part
            part, count = [], 0
    yield part


def _summed_up(cluster_id: str, faces: Sequence[CatalogueFace]) -> Cluster:
    scans = {face.scan_id for face in faces}
    names = sorted({face.label_id for face in faces if face.label_id is not None})
    return Cluster(cluster_id, len(faces), len(scans), names, min(scans))


def _print_json(found: Iterable[tuple[str, Sequence[CatalogueFace]]]) -> None:
    for cluster_id, faces in found:
        line = {
            "cluster_id": cluster_id,
            "size": len(faces),
            "faces": [
                {"face_id": face.face_id, "scan_id": face.scan_id, "uri": face.uri, "box": face.box.model_dump()}
                for face in faces
            ],
        }
        print(json.dumps(line))  # noqa: T201 - standard output is the result


def _names(connection: Connection) -> dict[str, str]:
    return {it.label_id: it.name for it in decisions.people(connection)}


def _print_table(counts: _Counts, shown: Sequence[Cluster], names: dict[str, str]) -> None:
    table = Table(title=f"Faces: {counts.faces:,}, clusters: {counts.clusters:,}")
    table.add_column("cluster", no_wrap=True)
    table.add_column("faces", justify="right")
    table.add_column("scans", justify="right")
    table.add_column("named", overflow="fold")
    table.add_column("on the scan", overflow="fold")
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
