"""What a step is given and what it gives back.

An offset, wherever it is said, is the next one to read.
"""

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
    """A record as it was read, as bytes, and where it stood."""

    topic: str
    partition: int
    offset: int
    record: Record = field(repr=False)


@dataclass(frozen=True)
class Received(Consumed):
    """A record that was read and understood."""

    message: Event | Tombstone | DeadLetter


@dataclass(frozen=True)
class Rejected:
    """A record that cannot be used, ever, and why. The loop sends it to `dead-letters` as it was."""

    consumed: Consumed
    reason: str


Output = Event | Tombstone | Rejected

Step = Callable[[Sequence[Received]], Sequence[Output]]
"""Events in, events out. It may raise Retriable or Fatal, as long as it has changed no state by then."""

Idle = Callable[[str], tuple[Sequence[Output], str]]
"""Asked whenever nothing is there to read, with the note that was committed last ("" at first).

Gives outputs, and the note to commit together with them; no outputs and the same note say that it has nothing to do. A
note is at most 4 KB (the broker's offset.metadata.max.bytes) and stands beside the offsets of the group.
"""


@dataclass(frozen=True)
class RestoredStep:
    """A step whose state stands for all records before its positions.

    outputs: what it has to say before the first record. idle: see `Idle`. save: keeps the state, which then stands for
    these positions.
    """

    step: Step
    outputs: Sequence[Output] = ()
    idle: Idle = lambda note: ((), note)
    save: Callable[[Positions], None] | None = None
