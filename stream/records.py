"""What a step takes and returns. Every offset in this project is that of the next record to read."""

from __future__ import annotations

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

Step = Callable[[Sequence[Received]], Sequence[Output]]
"""Events in, events out. It may raise Retriable or Fatal, as long as it has changed no state by then."""

Idle = Callable[[str], tuple[Sequence[Output], str]]
"""Called whenever there is nothing to read, with the checkpoint metadata of the last commit ("" at first).

Returns outputs, and the checkpoint metadata to commit together with them. No outputs and the same metadata mean that it
has nothing to do. Checkpoint metadata is committed beside the offsets of the group and is at most 4 KB (the broker's
offset.metadata.max.bytes).
"""


@dataclass(frozen=True)
class RestoredStep:
    """A step whose state stands for all records before its positions.

    outputs: what it publishes before the first record. idle: see `Idle`. save: writes the state to disk as that of
    these positions.
    """

    step: Step
    outputs: Sequence[Output] = ()
    idle: Idle = lambda metadata: ((), metadata)
    save: Callable[[Positions], None] | None = None
