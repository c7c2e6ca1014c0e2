"""The parameters of the benchmarks: the product's defaults, with two threads for the index."""

from __future__ import annotations

from dataclasses import dataclass, replace

from benchmarks.archive import Archive
from calibration.drawing import LARGEST_SAMPLE, draw
from calibration.reference import Reference
from clustering.clustering import Parameters as ClusteringParameters
from consumers.cluster import parameters_of
from consumers.index import parameters_of as index_parameters_of
from index.parameters import Parameters as IndexParameters
from schemas.defaults import EPS
from settings import Settings

INDEX = IndexParameters(threads=2)
CLUSTERING = ClusteringParameters()


@dataclass(frozen=True)
class Rule:
    """What the index and the clustering are run with, and the reference of both, if there is one."""

    index: IndexParameters
    clustering: ClusteringParameters
    reference: Reference | None = None


def by_default(archive: Archive) -> Rule:
    """As after `facestream calibrate` on an archive of this size, with a sample of its faces."""
    faces = len(archive.people)
    reference = draw(archive.vectors(0, min(LARGEST_SAMPLE, faces)), faces)
    settings = Settings()
    return Rule(
        replace(index_parameters_of(settings, reference), threads=2),
        parameters_of(settings.clustering, reference.name),
        reference,
    )


def by_radius() -> Rule:
    """DBSCAN by Euclidean distance, as other implementations have it: no pair beyond eps is looked for."""
    return Rule(replace(INDEX, eps_max=EPS), replace(CLUSTERING, eps=EPS))
