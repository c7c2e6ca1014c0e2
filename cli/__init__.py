"""The `facestream` command: one thin module per command; the only place that wires things together."""
