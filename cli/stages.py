"""The consumers in the order of the flow, each with the topics it reads."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from consumers import catalogue, cluster, detect, index
from schemas.topics import FACES, SCANS, Topic

STAGES: Mapping[str, Sequence[Topic]] = {
    detect.GROUP: (SCANS,),
    index.GROUP: (FACES,),
    cluster.GROUP: cluster.TOPICS,
    catalogue.GROUP: catalogue.TOPICS,
}
