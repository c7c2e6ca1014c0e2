"""How far each consumer is behind: what is committed against what is there."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

from kafka import KafkaAdminClient, KafkaConsumer, TopicPartition
from kafka.structs import OffsetAndMetadata

from schemas.topics import Topic
from settings import KafkaSettings
from stream import clients
from stream.reading import partitions_of


class LagReader:
    """Asks a broker for lags, as often as one likes. Made by `lag_reader`."""

    def __init__(self, admin: KafkaAdminClient, reader: KafkaConsumer) -> None:
        self._admin = admin
        self._reader = reader

    def lags(self, stages: Mapping[str, Sequence[Topic]]) -> dict[str, int]:
        """Records each group has not done with yet.

        Stages are asked in the order given. Given in the order of the flow, with nothing published meanwhile, zeros
        for all mean that all is done: a stage commits its offsets and its outputs together, so what it has done is
        there to be counted when the next one is asked.
        """
        return {group: self._lag(group, topics) for group, topics in stages.items()}

    def note(self, group: str, topic: Topic) -> str:
        """What the group has committed beside its offset in a topic of one partition, see `stream.records.Idle`."""
        committed = self._committed(group).get(TopicPartition(topic.name, 0))
        return str(committed.metadata or "") if committed is not None else ""

    def end(self, topic: Topic) -> int:
        """The offset after the last committed record of a topic of one partition."""
        at = TopicPartition(topic.name, 0)
        return int(self._reader.end_offsets([at])[at])

    @clients.patiently
    def has_members(self, group: str) -> bool:
        """Whether anyone is in the group; a member that was killed counts until its session has lapsed."""
        return bool(self._admin.describe_groups([group])[group]["members"])

    @clients.patiently
    def _committed(self, group: str) -> Mapping[TopicPartition, OffsetAndMetadata]:
        committed: Mapping[str, Mapping[TopicPartition, OffsetAndMetadata]] = self._admin.list_group_offsets([group])
        return committed.get(group, {})

    def _lag(self, group: str, topics: Sequence[Topic]) -> int:
        committed = self._committed(group)
        partitions = [partition for topic in topics for partition in partitions_of(self._reader, topic)]
        ends = self._reader.end_offsets(partitions)
        begins = self._reader.beginning_offsets(partitions)
        read = {at: committed[at].offset if at in committed else begins[at] for at in partitions}
        return sum(max(0, ends[at] - read[at]) for at in partitions)


@contextmanager
def lag_reader(kafka: KafkaSettings) -> Iterator[LagReader]:
    """A LagReader with its connections. Raises Fatal if the broker does not answer."""
    admin, reader = clients.admin(kafka), clients.consumer(kafka)
    try:
        yield LagReader(admin, reader)
    finally:
        reader.close()
        admin.close()
