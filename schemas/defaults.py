"""The values that apply where nothing is set: one source for the settings, the engines, the index and the clustering.

Here, because the pure packages do not import `settings`, and `settings` imports none of them. Nothing is imported, so
that the command line can show a value without loading what it is for.
"""

from __future__ import annotations

from typing import Literal

DISTANCE: Literal["euclidean", "calibrated"] = "euclidean"

# Clustering, by Euclidean distance between embeddings.
EPS = 0.37
EPS_MAX = 0.5
MIN_SAMPLES = 1
SHARED_WEIGHT = 0.0
MOST_NEIGHBOURS = 64

# The same by calibrated distance: 0.5 is where the nearest 0.2 % of strangers are.
CALIBRATED_EPS = 0.4
CALIBRATED_EPS_MAX = 0.44
CALIBRATED_SHARED_WEIGHT = 0.08

# The index: the largest number of faces that is searched exactly, and HNSW's parameters.
EXACT_BELOW = 10_000
M = 32
EF_CONSTRUCTION = 100
EF = 48
SEED = 100

# The face engines.
ENGINE: Literal["onnx"] = "onnx"
PROVIDER: Literal["auto"] = "auto"
UPSAMPLE = 1
MAX_SIZE = 2000
THRESHOLD = 0.0
JITTER = 0
