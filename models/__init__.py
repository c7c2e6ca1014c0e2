"""Detector, landmark predictor and embedder behind one protocol; weights by checksum; pictures decoded."""

import os

# ONNX Runtime reports to its maker what runs where, from the moment it is imported, and keeps a device id in the
# home folder. What an archive does is its own affair; whoever wants to report sets the variable to 0.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
