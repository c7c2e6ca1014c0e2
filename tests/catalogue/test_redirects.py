"""Redirects of superseded ids: the catalogue and the library yield the same for the same change log."""

from __future__ import annotations

import random

import pytest
from psycopg import Connection

from catalogue import reader
from catalogue.writer import write
from clustering.clustering import Clustering, NeighboursWithdrawn, Parameters
from clustering.redirects import Redirects
from index.face_index import FaceIndex
from index.parameters import Parameters as IndexParameters
from schemas.clusters import Change, ClusterChanged
from schemas.neighbours import NeighboursFound, parse_neighbours_key
from tests.builders.analyses import random_log
from tests.builders.catalogue import in_order, offsets_after


def write_changes(connection: Connection, changes: tuple[ClusterChanged, ...]) -> None:
    records = in_order("clusters", *changes, start=reader.offsets(connection, "catalogue").get(("clusters", 0), 0))
    write(connection, records, offsets_after(records))


@pytest.mark.parametrize("seed", range(6))
def test_every_id_leads_to_the_same_existing_cluster_or_to_none(connection: Connection, seed: int) -> None:
    log = random_log(random.Random(seed), 60)
    index = FaceIndex(IndexParameters())
    clustering, redirects = Clustering(Parameters(eps=0.25, min_samples=1 + seed % 3)), Redirects()
    heard_of: set[str] = set()
    gave_way = 0
    for entry in log:
        (found,) = index.apply([entry])
        part = found if isinstance(found, NeighboursFound) else NeighboursWithdrawn(*parse_neighbours_key(found.key))
        delta = clustering.apply([part])
        redirects.follow(delta.changes)
        if delta.changes:
            write_changes(connection, delta.changes)
        heard_of |= {change.cluster_id for change in delta.changes}
        gave_way += sum(change.change in (Change.MERGED, Change.RETIRED) for change in delta.changes)
        living = clustering.sizes()
        for cluster_id in sorted(heard_of):
            leads_to = redirects.resolve(cluster_id)
            assert leads_to == reader.current_cluster(connection, cluster_id)
            assert leads_to is None or leads_to in living
            assert cluster_id not in living or leads_to == cluster_id
    assert gave_way > 10


def test_redirects_to_an_id_that_is_in_use_again_lead_there_again(connection: Connection) -> None:
    def changed(cluster_id: str, change: Change, successor: str | None = None) -> ClusterChanged:
        return ClusterChanged(cluster_id=cluster_id, change=change, size=0 if successor else 1, successor=successor)

    log = (
        *(changed(name, Change.CREATED) for name in "abc"),
        changed("c", Change.MERGED, "b"),
        changed("b", Change.MERGED, "a"),
        changed("b", Change.CREATED),
    )
    redirects = Redirects()
    redirects.follow(log)
    write_changes(connection, log)
    for resolve in (redirects.resolve, lambda name: reader.current_cluster(connection, name)):
        assert [resolve(name) for name in "abc"] == ["a", "b", "b"]
