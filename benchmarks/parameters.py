"""The parameters of all benchmarks of the clustering: the defaults, with two threads for the index."""

from __future__ import annotations

from clustering.clustering import Parameters as ClusteringParameters
from index.parameters import Parameters as IndexParameters

INDEX = IndexParameters(threads=2)
CLUSTERING = ClusteringParameters()
