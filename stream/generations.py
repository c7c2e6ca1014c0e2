"""The generations that there are, and which of them is live, as the topic `generations` says."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from types import TracebackType

from kafka import KafkaAdminClient

from schemas.base import Event
from schemas.generations import FIRST, LIVE, GenerationDefined, GenerationPromoted, State
from schemas.topics import (
    ASSIGNMENTS,
    CLUSTERS,
    FACES,
    GENERATIONS,
    NEIGHBOURS,
    TOPICS,
    Tombstone,
    Topic,
    of_generation,
)
from settings import KafkaSettings
from stream.following import Follower
from stream.reading import latest, read_to_end


@dataclass(frozen=True)
class Generations:
    """What was defined, by name, and the promotion that counts; None before the first one."""

    defined: Mapping[str, GenerationDefined] = field(default_factory=dict)
    promoted: GenerationPromoted | None = None

    @property
    def live(self) -> str:
        """The name of the live generation."""
        return FIRST if self.promoted is None else self.promoted.generation

    @property
    def names(self) -> list[str]:
        """All generations, the first one first. It is there also where nothing says so."""
        return [FIRST, *sorted(self.defined.keys() - {FIRST})]

    @property
    def followed(self) -> list[str]:
        """Those that are built and not retired, the first one first: their consumers follow the stream."""
        return [name for name in self.names if self.state(name) is State.BUILT]

    def neighbours(self, name: str) -> Topic:
        """The topic that the clusterer of a generation reads: that of all, or that of an index of its own."""
        return self._read_by(name, NEIGHBOURS)

    def faces(self, name: str) -> Topic:
        """The analyses that a generation is made of: those of all, or those of an embedder of its own."""
        return self._read_by(name, FACES)

    def _read_by(self, name: str, topic: Topic) -> Topic:
        own = of_generation(topic, name)
        # The fields of a record that name topics are called after those of all.
        return own if getattr(self.defined.get(name), topic.name, topic.name) == own.name else topic

    def topics_like(self, topic: Topic) -> list[Topic]:
        """A topic of all, and after it those that generations have of their own in its place."""
        names = {getattr(defined, topic.name, topic.name) for defined in self.defined.values()}
        return [topic, *(replace(topic, name=name) for name in sorted(names - {topic.name}))]

    @property
    def topics(self) -> list[Topic]:
        """All topics, those of generations included: in the order of `TOPICS`."""
        return [one for topic in TOPICS for one in self.topics_like(topic)]

    def state(self, name: str) -> State | None:
        """How far a generation is; None where there is none of this name."""
        defined = self.defined.get(name)
        if defined is None:
            return State.BUILT if name == FIRST else None
        return defined.state


def generations_of(messages: Iterable[object]) -> Generations:
    """The generations by the messages of the topic, in its order."""
    entries: Iterable[tuple[str, Event | None]] = (
        (message.key, None if isinstance(message, Tombstone) else message)
        for message in messages
        if isinstance(message, GenerationDefined | GenerationPromoted | Tombstone)
    )
    values = latest(entries)
    promoted = values.pop(LIVE, None)
    defined = {name: one for name, one in values.items() if isinstance(one, GenerationDefined)}
    return Generations(defined, promoted if isinstance(promoted, GenerationPromoted) else None)


def read_generations(kafka: KafkaSettings) -> Generations:
    """The generations that there are now. The topic is short: a record for each change of one."""
    return generations_of(received.message for received in read_to_end(kafka, GENERATIONS))


def known_topics(kafka: KafkaSettings, admin: KafkaAdminClient) -> list[Topic]:
    """The topics of this program that are on the broker, those of generations included: in the order of `TOPICS`."""
    there = set(admin.list_topics())
    # A broker of an earlier version has none.
    generations = read_generations(kafka) if GENERATIONS.name in there else Generations()
    return [topic for topic in generations.topics if topic.name in there]


class GenerationsReader(AbstractContextManager["GenerationsReader"]):
    """The generations time and again, over one connection. Closed at the end of the context."""

    def __init__(self, kafka: KafkaSettings) -> None:
        self._topic = Follower(kafka, GENERATIONS)
        self._messages: list[object] = []

    def read(self) -> Generations:
        """The generations that there are now. Raises kafka.errors.KafkaError where the broker does not answer."""
        news = self._topic.news()
        before = [] if news.is_another else self._messages
        self._messages = [*before, *(one.message for one in news.received)]
        return generations_of(self._messages)

    def close(self) -> None:
        """Close the connection."""
        self._topic.close()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()


def topics_of(name: str) -> tuple[Topic, Topic]:
    """The topics of the assignments and of the changes of clusters of a generation. Raises ValueError for no name."""
    return of_generation(ASSIGNMENTS, name), of_generation(CLUSTERS, name)


def group_of(consumer: str, name: str) -> str:
    """The group of a consumer of a generation."""
    return consumer if name == FIRST else f"{consumer}-{name}"
