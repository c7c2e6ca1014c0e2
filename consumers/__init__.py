"""The four consumers: one module for each, with its pure step and its wiring."""
