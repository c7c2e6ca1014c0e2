"""The consumers in the order of the flow: the group of each, and the topics that it reads.

It imports no consumer, so that lags are read without loading networks and clustering.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from schemas.generations import FIRST
from schemas.topics import (
    ASSIGNMENTS,
    CLUSTERS,
    DEAD_LETTERS,
    FACES,
    GENERATIONS,
    LABELS,
    NEIGHBOURS,
    SCANS,
    Topic,
)
from stream import shards as index_shards
from stream.generations import Generations, group_of, topics_of

DETECT = "detect"
INDEX = index_shards.GROUP
CLUSTER = "cluster"
CATALOGUE = "catalogue"

WITH_SNAPSHOTS = (INDEX, CLUSTER)
"""Those whose state is saved on the disk."""

STAGES: Mapping[str, Sequence[Topic]] = {
    DETECT: (SCANS,),
    INDEX: (FACES,),
    # Each has one partition, and the assignor that is used, `range`, assigns both to the same member.
    CLUSTER: (NEIGHBOURS, LABELS),
    CATALOGUE: (SCANS, FACES, LABELS, ASSIGNMENTS, CLUSTERS, GENERATIONS, DEAD_LETTERS),
}


def kind_of(group: str) -> str:
    """The consumer that a group is of, whatever its shard or its generation; the group itself where it is of none."""
    return next((name for name in STAGES if group == name or group.startswith(f"{name}-")), group)


def consumers_of(neighbours: Topic = NEIGHBOURS, faces: Topic = FACES) -> list[str]:
    """The consumers that a generation beside the first one has, in the order of the flow. See `stages_of`."""
    own = {DETECT: faces != FACES, INDEX: neighbours != NEIGHBOURS}
    return [name for name in STAGES if own.get(name, True)]


def stages_of(generation: str, neighbours: Topic = NEIGHBOURS, faces: Topic = FACES) -> Mapping[str, Sequence[Topic]]:
    """The consumers of a generation beside the first one, and the topics that each reads.

    neighbours: what its clusterer reads; where that is not the topic of all, it has an index of its own. faces: what
    that index reads; where that is not the topic of all, it has a detect consumer of its own.
    """
    reads = {
        DETECT: (FACES,),
        INDEX: (faces,),
        CLUSTER: (neighbours, LABELS),
        CATALOGUE: (*([] if faces == FACES else [faces]), *topics_of(generation)),
    }
    return {group_of(name, generation): reads[name] for name in consumers_of(neighbours, faces)}


def stages_with(generations: Generations, shards: int = 1) -> Mapping[str, Sequence[Topic]]:
    """All consumers where these generations are followed, and the index of all has so many shards."""
    followed = generations.followed
    indexes = {index_shards.group_of(number, shards): STAGES[INDEX] for number in range(shards)}
    stages = {DETECT: STAGES[DETECT], **indexes}
    stages |= {name: STAGES[name] for name in (CLUSTER, CATALOGUE) if name != CLUSTER or FIRST in followed}
    for generation in followed:
        if generation != FIRST:
            stages |= stages_of(generation, generations.neighbours(generation), generations.faces(generation))
    return stages
