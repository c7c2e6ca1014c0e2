"""Detector, landmark predictor and embedder behind one protocol; weights by checksum; pictures decoded."""
