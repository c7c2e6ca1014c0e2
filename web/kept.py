"""What takes long to read and may be some seconds old: answered from what was read last, and read again meanwhile."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Hashable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, TypeVar

import structlog
from psycopg import Error

log = structlog.get_logger()

Value = TypeVar("Value")

_MOST = 64
_OLDEST_READS = 30


@dataclass
class _Entry:
    value: Any
    read_at: float
    took_s: float
    reading: bool = False


class Kept:
    """The last values of slow reads, by key. Only the first read of a key is waited for, and one that is too old."""

    def __init__(self) -> None:
        """Start with nothing."""
        self._entries: dict[Hashable, _Entry] = {}
        self._lock = threading.Lock()
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="kept")

    def get(self, key: Hashable, read: Callable[[], Value], fresh_s: float = 1.0, oldest_s: float = 60.0) -> Value:
        """The value that `read` returned: at most `fresh_s` old, or else it is being read again now.

        A read is repeated at most so often that it takes a tenth of the time. From the age `oldest_s` on a new read is
        waited for; after a slow read that age is higher.
        """
        with self._lock:
            entry = self._entries.get(key)
            age = time.monotonic() - entry.read_at if entry else 0.0
            if entry is None or age > max(oldest_s, _OLDEST_READS * entry.took_s):
                entry = None
            elif age > max(fresh_s, 10 * entry.took_s) and not entry.reading:
                entry.reading = True
                self._pool.submit(self._read_again, key, read)
        if entry is not None:
            value: Value = entry.value
            return value
        return self._read(key, read)

    def close(self) -> None:
        """Wait for what is being read."""
        self._pool.shutdown(wait=True, cancel_futures=True)

    def _read(self, key: Hashable, read: Callable[[], Value]) -> Value:
        began = time.monotonic()
        value = read()
        with self._lock:
            while len(self._entries) >= _MOST and key not in self._entries:
                self._entries.pop(next(iter(self._entries)))
            self._entries[key] = _Entry(value, time.monotonic(), time.monotonic() - began)
        return value

    def _read_again(self, key: Hashable, read: Callable[[], Value]) -> None:
        try:
            self._read(key, read)
        except Error as error:
            # Whoever asks next, after `oldest_s`, is the one to be answered with it.
            log.warning("not read again", reason=type(error).__name__)
        finally:
            with self._lock:
                entry = self._entries.get(key)
                if entry is not None:
                    entry.reading = False
