"""Detector, landmark predictor and embedder behind protocols; weights by checksum; images fetched and decoded."""

import os

# ONNX Runtime sends usage telemetry from the moment it is imported and stores a device id in the home folder.
# Facestream turns that off before the import; a user who wants it sets the variable to 0.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
