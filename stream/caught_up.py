"""Whether consumers have caught up with a stream that may never pause."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from schemas.topics import Topic
from stream.lag import LagReader
from stream.records import Positions


class CaughtUp:
    """Whether these consumers have processed all that was there when this was made, and all that came of it.

    stages: the groups, each with its topics, in the order of the flow. What one writes, the next reads: so each has to
    come to the ends of its topics once for every stage, or nothing is left to read at all.
    """

    def __init__(self, lags: LagReader, stages: Mapping[str, Sequence[Topic]]) -> None:
        self._lags = lags
        self._stages = stages
        self._rounds = len(stages)
        self._goals = self._ends()

    def is_so(self) -> bool:
        """Ask now and then; once it is so, it stays so."""
        if self._rounds and not any(self._lags.lags(self._stages).values()):
            self._rounds = 0
        while self._rounds and all(self._has_passed(group, goal) for group, goal in self._goals.items()):
            self._rounds -= 1
            self._goals = self._ends()
        return not self._rounds

    def _ends(self) -> Mapping[str, Positions]:
        return {group: self._lags.ends(topics) for group, topics in self._stages.items()}

    def _has_passed(self, group: str, goal: Positions) -> bool:
        positions = self._lags.positions(group)
        return all(positions.get(partition, 0) >= end for partition, end in goal.items())
