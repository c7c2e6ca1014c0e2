"""Stores as the tests need them."""

from __future__ import annotations

import threading
from pathlib import Path

from models.stores.parameters import StoreParameters
from models.stores.stores import Stores
from producers.patience import PatientStores

ANYWHERE = StoreParameters(roots=(Path("/"),), schemes=("file", "memory"))
"""Every file of this machine may be read, and fsspec's memory."""


def patient_stores(stop: threading.Event | None = None) -> PatientStores:
    """What a feed reads, without limits."""
    return PatientStores(Stores(ANYWHERE), stop or threading.Event(), lambda _: None)


def fetch_anywhere(uri: str) -> bytes:
    """The bytes of any file."""
    return Stores(ANYWHERE).fetch(uri)
