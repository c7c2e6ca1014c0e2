"""What a step takes and returns. Every offset in this project is that of the next record to read."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from schemas.base import Event
from schemas.dead_letters import DeadLetter, Settled
from schemas.topics import FACES, SCANS, Record, Tombstone, generation_of

Positions = Mapping[tuple[str, int], int]
"""(topic name, partition) to the offset of the next record to read."""


@dataclass(frozen=True)
class Consumed:
    """A record as bytes, with the topic, partition and offset that it was read from."""

    topic: str
    partition: int
    offset: int
    record: Record = field(repr=False)


@dataclass(frozen=True)
class Received(Consumed):
    """A record that was read and decoded."""

    message: Event | Tombstone | DeadLetter | Settled


class Cause(StrEnum):
    """Why a record became a dead letter, in a word. The reason itself is in the dead letter."""

    INVALID = "invalid"
    """It is not an event of its topic."""
    SCAN = "scan"
    """Its scan cannot be fetched or read."""
    REFUSED = "refused"
    """A consumer or the database cannot use what it says."""
    FAILED = "failed"
    """A step failed on it, which nobody foresaw."""


@dataclass(frozen=True)
class Rejected:
    """A record that can never be used, and why. The loop publishes it unchanged to `dead-letters`.

    cause: the kind of reason, for who counts them.
    """

    consumed: Consumed
    reason: str
    cause: Cause = Cause.REFUSED


Output = Event | Tombstone | Rejected


def scan_of(message: object) -> str | None:
    """The id of the scan that an event is of, or a tombstone of `scans` or `faces`; None where it is of none."""
    if isinstance(message, Tombstone):
        return message.key if generation_of(message.topic.name)[0] in (SCANS.name, FACES.name) else None
    scan_id = getattr(message, "scan_id", None)
    return scan_id if isinstance(scan_id, str) else None


Headers = tuple[tuple[str, bytes], ...]

_UNFINISHED = "unfinished"


def _no_headers(_: Event | Tombstone) -> Headers:
    return ()


@dataclass(frozen=True)
class Publication:
    """What a step publishes: `keyed` first, then `log`.

    keyed: events and tombstones of compacted topics. After a kill, `reconcile` returns those that are not in the topic
    yet. log: events that count one by one, in an order that follows from the state and the topics. A restart returns
    those after the ones that are published. rejected: dead letters. headers: further headers of a keyed record, where
    the publication is committed in chunks.
    """

    keyed: Sequence[Event | Tombstone] = ()
    log: Sequence[Event] = ()
    rejected: Sequence[Rejected] = ()
    headers: Callable[[Event | Tombstone], Headers] = _no_headers

    @property
    def outputs(self) -> list[Output]:
        """All of it, in the order of publication."""
        return [*self.rejected, *self.keyed, *self.log]


@dataclass(frozen=True)
class Unfinished:
    """A publication of which not everything is committed.

    delta: its id, the header `ce_delta` of its records. positions: the offsets after its batch. logged: how many of
    `log` are committed; while there are any, all of `keyed` is. metadata: the step's own checkpoint metadata.
    """

    delta: str
    positions: Positions
    logged: int = 0
    metadata: str = ""

    def as_metadata(self) -> str:
        """As checkpoint metadata."""
        positions = [[topic, partition, offset] for (topic, partition), offset in self.positions.items()]
        fields = {"delta": self.delta, "positions": positions, "logged": self.logged, "metadata": self.metadata}
        return json.dumps({_UNFINISHED: fields})

    @classmethod
    def from_metadata(cls, metadata: str) -> Unfinished | None:
        """What `as_metadata` returned; None where the checkpoint metadata is a step's own."""
        if not metadata.startswith(f'{{"{_UNFINISHED}"'):
            return None
        fields = json.loads(metadata)[_UNFINISHED]
        positions = {(topic, partition): offset for topic, partition, offset in fields["positions"]}
        return cls(fields["delta"], positions, fields["logged"], fields["metadata"])


Step = Callable[[Sequence[Received]], Sequence[Output] | Publication]
"""Events in, events out: in one transaction, or, from a step that can reconcile, as a Publication.

It may raise Retriable or Fatal, as long as it has changed no state by then.
"""

Idle = Callable[[str], tuple[Sequence[Output], str]]
"""Called whenever there is nothing to read, and now and then in a steady stream.

With the checkpoint metadata of the last commit ("" at first).

Returns outputs, and the checkpoint metadata to commit together with them. No outputs and the same metadata mean that it
has nothing to do. Checkpoint metadata is committed beside the offsets of the group and is at most 4 KB (the broker's
offset.metadata.max.bytes).
"""


@dataclass(frozen=True)
class RestoredStep:
    """A step whose state stands for all records before its positions.

    reconcile: compares the state with what is published, and returns what to publish before the first record. Of an
    unfinished publication, the first one that it returns is the rest. idle: see `Idle`. only_at_the_end: it is never
    called where there is something to read. save: writes the state to disk as that of these positions. erase: called
    with the committed positions when `idle` may be; does what an erasure asks for, and returns what to publish of that.
    hold: the positions to commit instead of those that were read, where a record before them is not done with.
    held: the ids of the scans whose records are not done with.
    """

    step: Step
    reconcile: Callable[[Unfinished | None], Sequence[Publication]] = lambda _: ()
    idle: Idle = lambda metadata: ((), metadata)
    only_at_the_end: bool = False
    save: Callable[[Positions], None] | None = None
    erase: Callable[[Positions], Sequence[Output]] = lambda _: ()
    hold: Callable[[Positions], Positions] = lambda positions: positions
    held: Callable[[], Collection[str]] = tuple
