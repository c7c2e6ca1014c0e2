"""Which links and separations make a difference to the clusters: without them, DBSCAN would decide otherwise."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from clustering.clustering import Clustering
from clustering.constrained_linkage import must_link_groups


@dataclass(frozen=True, order=True)
class Bound:
    """A decision that binds: its kind, linked or separated, and its two faces, the smaller id first."""

    kind: str
    face_id: str
    other_face_id: str


def binding_decisions(clustering: Clustering) -> set[Bound]:
    """The decisions about two live faces that bind.

    A link does where DBSCAN has its faces in different clusters, or as noise; a separation where DBSCAN and the links
    together would have its faces in one.
    """
    decisions, nodes = clustering.live_decisions, clustering.graph.nodes
    constrained = decisions.constrained_nodes()
    if not constrained:
        return set()
    must_links, cannot_links = decisions.must_links(constrained), decisions.cannot_links(constrained)
    # Groups consist of clusters and of single nodes of noise, which get numbers beyond those of the clusters.
    cluster_of = nodes.cluster[: nodes.used].astype(np.int64)
    most = int(cluster_of.max(initial=-1)) + 1
    content = np.where(cluster_of < 0, most + np.arange(nodes.used), cluster_of)
    group = must_link_groups(most + nodes.used, content[must_links])[content]
    binds = {
        "linked": must_links[content[must_links[:, 0]] != content[must_links[:, 1]]],
        "separated": cannot_links[group[cannot_links[:, 0]] == group[cannot_links[:, 1]]],
    }
    return {Bound(kind, *sorted(nodes.face_id[pair].tolist())) for kind, pairs in binds.items() for pair in pairs}
