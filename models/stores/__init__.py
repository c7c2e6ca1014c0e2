"""Where scans are kept: what may be read, and the bytes at a uri. `models.stores.stores` is the way in."""
