"""One module per consumer: a pure step plus its wiring."""
