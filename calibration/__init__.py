"""A distance calibrated on the archive itself: references, the offsets of faces, and how a reference is drawn. Pure."""
