"""Erasure: keyed digests of what was erased, and the search for what is left of it. Pure."""
