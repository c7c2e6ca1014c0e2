"""The schedule of a chaos run: which faults, how long each lasts, and after how long a wait. A function of its seed."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

CONSUMERS = ("detect", "index", "cluster", "catalogue")
SERVICES = ("broker", "database")

# The session of a member lapses after 10 s: a consumer that stands still for longer loses its partitions to a standby.
_STOPPED_S = (0.5, 14.0)
_FULL_S = (1.0, 6.0)
_CUT_S = (0.0, 4.0)
_BETWEEN_S = (0.0, 1.5)
# So often the next fault does not wait until the system has recovered from this one; and where there are only kills.
_HIT_AGAIN, _KILL_AGAIN = 0.2, 0.5


class Kind(StrEnum):
    """What is done to the system."""

    KILL = "kill -9"
    STOP = "stop for a while"
    CUT = "cut connections"
    MEMBER = "add or remove a member"
    SNAPSHOTS = "restart on damaged snapshots"
    FULL = "fill the disk"


def _each(kind: Kind, *targets: str) -> tuple[tuple[Kind, str], ...]:
    return tuple((kind, target) for target in targets)


_KILLS = _each(Kind.KILL, *CONSUMERS, "worker", "supervisor", *SERVICES, "backend")
_STOPS = _each(Kind.STOP, *CONSUMERS, "worker", "supervisor", *SERVICES)
_STARTS = _each(Kind.SNAPSHOTS, "deleted", "damaged")

# One of each in turn; of one, each target in turn.
_DECKS = (
    *(_KILLS, _KILLS, _KILLS, _STOPS),
    _each(Kind.CUT, "kafka", "postgres"),
    _each(Kind.MEMBER, *CONSUMERS),
    (*_STARTS, *_each(Kind.FULL, "disk")),
)


@dataclass(frozen=True)
class Fault:
    """One fault: after_s seconds after its portion of the feed, to last for so many seconds.

    settles: whether the next one waits until the system has recovered. chance: a number below 1 for what the fault has
    to choose itself.
    """

    kind: Kind
    target: str
    after_s: float
    lasts_s: float
    settles: bool
    chance: float

    @property
    def name(self) -> str:
        """What the table of a run calls it."""
        return f"{self.kind}: {self.target}"


def schedule(faults: int, seed: int, *, only_kills: bool = False) -> list[Fault]:
    """So many faults. The same seed gives the same ones; a longer schedule begins as a shorter one does."""
    chance = random.Random(seed)
    dealt = _dealt(chance, (_KILLS,) if only_kills else _DECKS)
    hit_again = _KILL_AGAIN if only_kills else _HIT_AGAIN
    return [_fault(chance, hit_again, *next(dealt)) for _ in range(faults)]


def _fault(chance: random.Random, hit_again: float, kind: Kind, target: str) -> Fault:
    lengths = {Kind.STOP: _STOPPED_S, Kind.FULL: _FULL_S, Kind.CUT: _CUT_S}
    return Fault(
        kind,
        target,
        after_s=round(chance.uniform(*_BETWEEN_S), 3),
        lasts_s=round(chance.uniform(*lengths.get(kind, (0.0, 0.0))), 3),
        settles=chance.random() >= hit_again,
        chance=chance.random(),
    )


def _dealt(chance: random.Random, of: Sequence[Sequence[tuple[Kind, str]]]) -> Iterator[tuple[Kind, str]]:
    """From each deck in turn, in another order each time; a deck that is empty is shuffled again."""
    decks: dict[int, list[tuple[Kind, str]]] = {}
    while True:
        for number in chance.sample(range(len(of)), len(of)):
            if not decks.get(number):
                decks[number] = chance.sample(of[number], len(of[number]))
            yield decks[number].pop()
