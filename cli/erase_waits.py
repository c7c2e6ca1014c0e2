"""Waiting until the consumers of all generations have done what an erasure asks of them."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path
from types import TracebackType

from cli.printing import stderr
from consumers.erased import MARK
from consumers.resume import note
from errors import UserError
from producers.erasure_plan import Plan
from schemas.erasures import ErasureState
from schemas.neighbours import NeighboursFound
from schemas.topics import NEIGHBOURS, SCANS, Tombstone, Topic
from settings import KafkaSettings, Settings
from stream import waits
from stream.caught_up import CaughtUp
from stream.erasures import Erasures
from stream.following import Follower
from stream.generations import Generations
from stream.lag import lag_reader
from stream.records import Positions
from stream.stages import CLUSTER, DETECT, INDEX, kind_of

_LOOK_EVERY_S = 0.5
_SAY_EVERY_S = 15.0
# So long an index that has nothing left to do may still be correcting.
_NAMED_FOR_S = 60.0

Stages = Mapping[str, Sequence[Topic]]


def detectors(stages: Stages) -> list[str]:
    """Those among these that find faces: what embeds them again for a generation reads `faces`."""
    return [name for name, topics in stages.items() if kind_of(name) == DETECT and SCANS in topics]


def with_snapshots(stages: Stages) -> dict[str, ErasureState]:
    """The consumers among these that keep snapshots, and the state of an erasure at which they replace them."""
    states = {INDEX: ErasureState.REWRITTEN, CLUSTER: ErasureState.SETTLED}
    return {name: states[kind_of(name)] for name in stages if kind_of(name) in states}


class Waiting(AbstractContextManager["Waiting"]):
    """Waits for the consumers, over connections of its own that are closed at the end of the context."""

    def __init__(
        self, settings: Settings, plan: Plan, generations: Generations, stages: Stages, *, local: bool
    ) -> None:
        """stages: all consumers. local: they are this command's own, and their snapshots are in the data folder."""
        self._connections = ExitStack()
        self._lags = self._connections.enter_context(lag_reader(settings.kafka))
        self._erasures = self._connections.enter_context(Erasures(settings.kafka, look_every_s=0.0))
        self._neighbours = [
            self._connections.enter_context(_Named(settings.kafka, topic, plan.face_ids))
            for topic in generations.topics_like(NEIGHBOURS)
        ]
        self._detectors = detectors(stages)
        self._stages = {name: topics for name, topics in stages.items() if name not in self._detectors}
        self._snapshots = settings.data / "snapshots"
        self._is_local = local

    def wait(self, check: Callable[[], bool], sent: Positions, *, settled: bool = False) -> bool:
        """Wait until nothing is left to do. False where an index has done its part too early: it is to do it again.

        check: whether the consumers have begun; it raises what ends the waiting. sent: the ends that detect has to come
        to. settled: also for the snapshots that are written when an erasure is settled. Raises KafkaError.
        """
        named_since: float | None = None
        caught_up: CaughtUp | None = None
        said_at = time.monotonic()
        while True:
            left = [] if check() else ["consumers to start"]
            left += [*self._undetected(sent), *self._old_snapshots(settled)]
            named = [*self._named()]
            if left or not named:
                named_since = None
            elif any(self._lags.lags(self._stages).values()) or named_since is None:
                named_since = time.monotonic()
            elif time.monotonic() > named_since + _NAMED_FOR_S:
                return False
            left += named
            if left:
                caught_up = None
            else:
                # What these have published is read by others.
                caught_up = caught_up or CaughtUp(self._lags, self._stages)
                if caught_up.is_so() and not [*self._undetected(sent), *self._named()]:
                    return True
                left = [name for name, lag in self._lags.lags(self._stages).items() if lag]
            if time.monotonic() > said_at + _SAY_EVERY_S:
                self._check_stores()
                stderr.print(f"waiting for {', '.join(left)}", soft_wrap=True)
                said_at = time.monotonic()
            time.sleep(_LOOK_EVERY_S)

    def _check_stores(self) -> None:
        """Raise UserError where nothing but scans in stores that do not answer is waited for."""
        behind = [name for name, lag in self._lags.lags(self._stages).items() if lag]
        waiting = waits.waiting(self._lags, behind)
        if waiting and all(kind_of(name) == DETECT for name in behind):
            lines = "; ".join(one.line for one in waiting)
            raise UserError(
                f"{', '.join(behind)}: {lines}; facestream erase goes on when it answers, or when the generation is "
                "retired (facestream retire)"
            )

    def _undetected(self, sent: Positions) -> Iterator[str]:
        for name in self._detectors if sent else ():
            analysed = self._lags.positions(name)
            if any(analysed.get(place, 0) < end for place, end in sent.items()):
                yield name

    def _named(self) -> Iterator[str]:
        """The topics of neighbours that name what goes, of records that an index corrects once."""
        yield from (f"{one.topic.name} without it" for one in self._neighbours if one.is_left())

    def _old_snapshots(self, settled: bool) -> Iterator[str]:
        for name, state in with_snapshots(self._stages).items():
            folder = self._snapshots / name
            if state is ErasureState.SETTLED and not settled:
                continue
            # Where the consumers run elsewhere, as a rule their snapshots do not lie here.
            is_here = self._is_local or any(folder.glob("snapshot-*"))
            if is_here and self._erasures.latest(state) not in ("", _mark(folder)):
                yield f"the snapshot of {name} in {folder}"

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._connections.close()


class _Named(AbstractContextManager["_Named"]):
    """Whether a topic of neighbours names faces that go; what was read once is not read again."""

    def __init__(self, kafka: KafkaSettings, topic: Topic, face_ids: frozenset[str]) -> None:
        self.topic = topic
        self._face_ids = face_ids
        self._follower = Follower(kafka, topic)
        self._is_named: dict[str, bool] = {}

    def is_left(self) -> bool:
        news = self._follower.news()
        if news.is_another:
            self._is_named.clear()
        for one in news.received:
            message = one.message
            if isinstance(message, NeighboursFound):
                ids = (face_id for face in message.faces for face_id in (face.face_id, *face.neighbours))
                self._is_named[message.key] = not self._face_ids.isdisjoint(ids)
            elif isinstance(message, Tombstone):
                self._is_named.pop(message.key, None)
        return any(self._is_named.values())

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._follower.close()


def _mark(folder: Path) -> str:
    path = folder / MARK
    try:
        return note(path) or ""
    except OSError as error:
        raise UserError(f"{path} cannot be read ({error.strerror}): run facestream erase as who may read it") from error
