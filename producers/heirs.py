"""What leads from the clusters of one generation to their heirs in another, and publishing it.

An id that a person or a program has of the one is followed in the other by its change log, as any id that was
superseded: so the heirs are published there, as ids that were merged into clusters of it.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from datetime import datetime

from producers.publisher import Publisher
from schemas.clusters import Change, ClusterChanged
from settings import KafkaSettings


def redirects(
    heirs: Mapping[str, str], superseded: Iterable[tuple[str, str]], present: Mapping[str, str]
) -> dict[str, str]:
    """The ids of a generation that another one does not lead to their heirs yet, with these.

    heirs: by each cluster of the one, that of the other. superseded: ids that the one had before, each with the cluster
    that continues it. present: where the other one leads ids to by itself, its clusters to themselves. An id that the
    other one has as a cluster stays that cluster.
    """
    continued = {**dict(superseded), **{cluster_id: cluster_id for cluster_id in heirs}}
    wanted = {former: heirs[cluster_id] for former, cluster_id in continued.items() if cluster_id in heirs}
    return {
        former: heir for former, heir in wanted.items() if present.get(former) not in (former, heir) and heir != former
    }


def publish_redirects(
    kafka: KafkaSettings, now: Callable[[], datetime], generation: str, leading: Mapping[str, str]
) -> None:
    """Publish them to the change log of a generation. When this returns, the broker has confirmed all of them."""
    with Publisher(kafka, now, "heirs of clusters", "do it again: those that are there do no harm") as publisher:
        for former, heir in sorted(leading.items()):
            change = ClusterChanged(cluster_id=former, change=Change.MERGED, size=0, successor=heir)
            publisher.send(change, generation)


def publish_again(kafka: KafkaSettings, now: Callable[[], datetime], generation: str, sizes: Mapping[str, int]) -> None:
    """Publish that these clusters of a generation are there, in spite of what its change log ends with."""
    with Publisher(kafka, now, "clusters", "do it again") as publisher:
        for cluster_id, size in sorted(sizes.items()):
            publisher.send(ClusterChanged(cluster_id=cluster_id, change=Change.CREATED, size=size), generation)


def led_astray(present: Collection[str], superseded: Iterable[tuple[str, str]]) -> list[str]:
    """The clusters that a generation has, and that its change log leads elsewhere: they were made meanwhile."""
    there = set(present)
    return sorted(former for former, heir in superseded if former in there and heir != former)
