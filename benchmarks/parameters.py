"""What all measurements of clustering are made with: the settings as they are, and two threads."""

from __future__ import annotations

from clustering.clustering import Parameters as ClusteringParameters
from index.parameters import Parameters as IndexParameters

EPS = 0.37
INDEX = IndexParameters(threads=2)
CLUSTERING = ClusteringParameters(eps=EPS)
