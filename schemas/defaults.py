"""The values that apply where nothing is set: one source for the settings, the engines, the index and the clustering.

Here, because the pure packages do not import `settings`, and `settings` imports none of them. Nothing is imported, so
that the command line can show a value without loading what it is for.
"""

from __future__ import annotations

from typing import Literal

DISTANCE: Literal["euclidean", "calibrated"] = "calibrated"

# Clustering, by Euclidean distance between embeddings.
EPS = 0.37
EPS_MAX = 0.5
MIN_SAMPLES = 1
SHARED_WEIGHT = 0.0
MOST_NEIGHBOURS = 64

# The same by calibrated distance: 0.5 is where the nearest 0.2 % of strangers are.
CALIBRATED_EPS = 0.418
CALIBRATED_EPS_MAX = 0.46
CALIBRATED_SHARED_WEIGHT = 0.14

# The index: the largest number of faces that is searched exactly, and HNSW's parameters.
EXACT_BELOW = 10_000
M = 32
EF_CONSTRUCTION = 64
EF = 48
SEED = 100

# The face engines.
ENGINE: Literal["onnx"] = "onnx"
PROVIDER: Literal["auto"] = "auto"
# The detector and the embedder: dlib's own.
MODEL = "dlib"
UPSAMPLE = 1
MAX_SIZE = 2000
THRESHOLD = 0.0
JITTER = 0

# The stores of scans: what is read where nothing is set, the size of the largest scan, and the time for one fetch.
SCHEMES = ("file", "http", "https", "s3")
MAX_BYTES = 2_000_000_000
DEADLINE_S = 60.0
TURNS: Literal["fallback"] = "fallback"
NEGATIVES = False
# In pixels of the scan; 0: as small as max_size and upsample allow.
MIN_FACE_PX = 0

# The seconds that a picture may take to be decoded.
DECODE_DEADLINE_S = 300.0

# Within so many hours a compacted topic loses what was deleted or superseded.
ERASED_WITHIN_H = 24.0

# What the desk's pictures, cut out of scans, may take on disk.
CROPS_BYTES = 2_000_000_000
