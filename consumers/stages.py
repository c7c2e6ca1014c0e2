"""The consumers in the order of the flow: the group of each, and the topics that it reads.

It imports no consumer, so that lags are read without loading networks and clustering.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from schemas.topics import ASSIGNMENTS, CLUSTERS, DEAD_LETTERS, FACES, LABELS, NEIGHBOURS, SCANS, Topic

DETECT = "detect"
INDEX = "index"
CLUSTER = "cluster"
CATALOGUE = "catalogue"

STAGES: Mapping[str, Sequence[Topic]] = {
    DETECT: (SCANS,),
    INDEX: (FACES,),
    # Each has one partition, and the assignor that is used, `range`, assigns both to the same member.
    CLUSTER: (NEIGHBOURS, LABELS),
    CATALOGUE: (SCANS, FACES, LABELS, ASSIGNMENTS, CLUSTERS, DEAD_LETTERS),
}
