"""Where a stateful consumer takes up: at its newest snapshot that can be used, and the log since."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Protocol

import structlog

from settings import KafkaSettings
from stream.reading import read_until
from stream.records import Positions, Received

log = structlog.get_logger()

_BATCH = 1000


class Restored(Protocol):
    """What a room could restore: the next offset to read, and the snapshots it has refused."""

    @property
    def offset(self) -> int:
        """The next offset to read; 0 with an empty state."""

    @property
    def refused(self) -> Sequence[Exception]:
        """Why snapshots were passed over."""


def is_usable(restored: Restored, positions: Positions) -> bool:
    """Whether to go on from what was restored; says what was refused.

    Where the offsets were set back, to say again what was said, a later snapshot knows too much.
    """
    for reason in restored.refused:
        log.warning("snapshot passed over", reason=str(reason))
    (end,) = positions.values()
    return restored.offset <= end


def since(kafka: KafkaSettings, offset: int, positions: Positions) -> Iterator[list[Received]]:
    """The log from `offset` up to the positions, in batches."""
    return batches(read_until(kafka, positions, dict.fromkeys(positions, offset)))


def batches(received: Iterable[Received]) -> Iterator[list[Received]]:
    """A log in pieces of a thousand records."""
    iterator = iter(received)
    while batch := list(islice(iterator, _BATCH)):
        yield batch
