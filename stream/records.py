"""What a step takes and returns. Every offset in this project is that of the next record to read."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from schemas.base import Event
from schemas.dead_letters import DeadLetter
from schemas.topics import Record, Tombstone

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

    message: Event | Tombstone | DeadLetter


@dataclass(frozen=True)
class Rejected:
    """A record that can never be used, and why. The loop publishes it unchanged to `dead-letters`."""

    consumed: Consumed
    reason: str


Output = Event | Tombstone | Rejected

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
"""Called whenever there is nothing to read, with the checkpoint metadata of the last commit ("" at first).

Returns outputs, and the checkpoint metadata to commit together with them. No outputs and the same metadata mean that it
has nothing to do. Checkpoint metadata is committed beside the offsets of the group and is at most 4 KB (the broker's
offset.metadata.max.bytes).
"""


@dataclass(frozen=True)
class RestoredStep:
    """A step whose state stands for all records before its positions.

    reconcile: compares the state with what is published, and returns what to publish before the first record. Of an
    unfinished publication, the first one that it returns is the rest. idle: see `Idle`. save: writes the state to disk
    as that of these positions. hold: the positions to commit instead of those that were read, where a record before
    them is not done with.
    """

    step: Step
    reconcile: Callable[[Unfinished | None], Sequence[Publication]] = lambda _: ()
    idle: Idle = lambda metadata: ((), metadata)
    save: Callable[[Positions], None] | None = None
    hold: Callable[[Positions], Positions] = lambda positions: positions
