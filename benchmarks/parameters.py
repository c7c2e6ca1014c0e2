"""What all measurements of clustering are made with: the default parameters, and two threads."""

from __future__ import annotations

from clustering.clustering import Parameters as ClusteringParameters
from index.parameters import Parameters as IndexParameters

INDEX = IndexParameters(threads=2)
CLUSTERING = ClusteringParameters()
