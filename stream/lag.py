"""Lag: how many records of its topics a consumer group has not processed yet."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

from kafka import KafkaAdminClient, KafkaConsumer, TopicPartition
from kafka.structs import OffsetAndMetadata

from schemas.topics import Topic
from settings import KafkaSettings
from stream import clients
from stream.reading import partitions_of
from stream.records import Unfinished


class LagReader:
    """Reads lags and committed offsets from a broker. Use `lag_reader` to make one."""

    def __init__(self, admin: KafkaAdminClient, reader: KafkaConsumer) -> None:
        self._admin = admin
        self._reader = reader

    def lags(self, stages: Mapping[str, Sequence[Topic]]) -> dict[str, int]:
        """The number of records that each group has not processed yet.

        Stages are queried in the order given. In the order of the data flow, with nothing published meanwhile, zeros
        for all mean that all is done: a stage commits its offsets and its outputs together, so its outputs are
        counted when the next stage is queried. A publication that is unfinished counts too, as one record where the
        group has read everything: so it is after a restart with other parameters.
        """
        return {group: self._lag(group, topics) for group, topics in stages.items()}

    def checkpoint_metadata(self, group: str, topic: Topic) -> str:
        """What the group has committed beside its offset in a topic of one partition, see `stream.records.Idle`."""
        committed = self._committed(group).get(TopicPartition(topic.name, 0))
        return str(committed.metadata or "") if committed is not None else ""

    def all_checkpoint_metadata(self, group: str) -> list[str]:
        """What the members of the group have committed beside their offsets, each text once and no empty one."""
        texts = {str(committed.metadata or "") for committed in self._committed(group).values()}
        return sorted(texts - {""})

    def end(self, topic: Topic) -> int:
        """The offset after the last committed record of a topic of one partition."""
        partition = TopicPartition(topic.name, 0)
        return int(self._reader.end_offsets([partition])[partition])

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
        next_offsets = {
            partition: committed[partition].offset if partition in committed else begins[partition]
            for partition in partitions
        }
        lag = sum(max(0, int(ends[partition]) - int(next_offsets[partition])) for partition in partitions)
        is_unfinished = any(Unfinished.from_metadata(one.metadata or "") for one in committed.values())
        return max(lag, int(is_unfinished))


@contextmanager
def lag_reader(kafka: KafkaSettings) -> Iterator[LagReader]:
    """A LagReader with its connections. Raises Fatal if the broker does not answer."""
    admin, reader = clients.admin(kafka), clients.consumer(kafka)
    try:
        yield LagReader(admin, reader)
    finally:
        reader.close()
        admin.close()
