"""How far all consumers of an archive are at one moment: what `status` and the desk's page for operators show."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from kafka.errors import KafkaError

from errors import Fatal
from schemas.topics import Topic
from settings import KafkaSettings
from stream import waits
from stream.continuity import Break
from stream.generations import Generations, GenerationsReader
from stream.lag import lag_reader
from stream.shards import shards_of
from stream.stages import stages_with
from stream.waits import Wait


@dataclass(frozen=True)
class Stage:
    """A consumer: its group, what it reads, how many records it is behind, how many members run.

    read: see `stream.lag.GroupProgress`.
    """

    name: str
    topics: Sequence[Topic]
    lag: int
    read: int
    members: int


@dataclass(frozen=True)
class Standing:
    """All consumers in the order of the flow, what detect waits for, where topics break off, and the generations."""

    stages: Sequence[Stage]
    waiting: Sequence[Wait]
    breaks: Sequence[Break]
    generations: Generations

    def read_since(self, before: Standing) -> dict[str, int]:
        """How many offsets each consumer has come further: records, and the markers of transactions between them."""
        former = {stage.name: stage.read for stage in before.stages}
        return {stage.name: max(0, stage.read - former.get(stage.name, stage.read)) for stage in self.stages}


@contextmanager
def standing_reader(kafka: KafkaSettings) -> Iterator[Callable[[], Standing]]:
    """A function that reads the standing, time and again over the same connections. One caller at a time.

    Raises Fatal where the broker does not answer, and so does the function.
    """
    with lag_reader(kafka) as lags, GenerationsReader(kafka) as generations:

        def read() -> Standing:
            try:
                known = generations.read()
                # Asked each time: generations come and go meanwhile.
                stages = stages_with(known, shards_of(lags.groups()) or 1)
                progress, members = lags.progress(stages), lags.members(stages)
                waiting = waits.waiting(lags, stages)
            except KafkaError as error:
                raise Fatal(f"the Kafka broker at {kafka.bootstrap_servers} does not answer: {error}") from error
            return Standing(
                [
                    Stage(name, topics, progress[name].lag, progress[name].read, members.get(name, 0))
                    for name, topics in stages.items()
                ],
                waiting,
                [one for stage in progress.values() for one in stage.breaks],
                known,
            )

        yield read
