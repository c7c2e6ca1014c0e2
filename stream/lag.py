"""Lag: how many records of its topics a consumer group has not processed yet."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass

from kafka import KafkaAdminClient, KafkaConsumer, TopicPartition
from kafka.structs import OffsetAndMetadata

from schemas.topics import Checkpoint, Topic
from settings import KafkaSettings
from stream import clients
from stream.continuity import Break, Checkpoints, Present, breaks, continued, parted
from stream.reading import as_positions, partitions_of
from stream.records import Positions, Unfinished


@dataclass(frozen=True)
class GroupProgress:
    """How far a group has come.

    lag: the number of records that it has not processed yet. A publication that is unfinished counts too, as one record
    where the group has read everything: so it is after a restart with other parameters. So does a topic that does not
    continue where the group has read up to, until the group has noticed it. breaks: these topics. read: the offsets
    to read next, added up: the difference of two of them is what it has read meanwhile.
    """

    lag: int
    breaks: Sequence[Break]
    read: int


class LagReader:
    """Reads lags and committed offsets from a broker. Use `lag_reader` to make one."""

    def __init__(self, admin: KafkaAdminClient, reader: KafkaConsumer) -> None:
        """`reader` sees records of open transactions too."""
        self._admin = admin
        self._reader = reader

    def progress(self, stages: Mapping[str, Sequence[Topic]]) -> dict[str, GroupProgress]:
        """How far each group has come, in its topics.

        Stages are queried in the order given. In the order of the data flow, with nothing published meanwhile, lags of
        zero mean that all is done: a stage commits its offsets and its outputs together, so its outputs are counted
        when the next stage is queried.
        """
        names = sorted({topic.name for topics in stages.values() for topic in topics})
        topic_ids = {str(one["name"]): str(one["topic_id"]) for one in self._admin.describe_topics(names)}
        return {group: self._progress(group, topics, topic_ids) for group, topics in stages.items()}

    def lags(self, stages: Mapping[str, Sequence[Topic]]) -> dict[str, int]:
        """The number of records that each group has not processed yet: see `progress`."""
        return {group: progress.lag for group, progress in self.progress(stages).items()}

    def checkpoint_metadata(self, group: str, topic: Topic) -> str:
        """What the group has committed beside its offset in a topic of one partition, see `stream.records.Idle`."""
        committed = self._committed(group).get(TopicPartition(topic.name, 0))
        return parted(committed.metadata)[1] if committed is not None else ""

    def position(self, group: str, topic: Topic) -> int:
        """The offset that the group has to read next in a topic of one partition; 0 before its first commit."""
        committed = self._committed(group).get(TopicPartition(topic.name, 0))
        return 0 if committed is None else int(committed.offset)

    def positions(self, group: str) -> Positions:
        """The offset that the group has to read next in each partition of which it has committed one."""
        return as_positions({partition: commit.offset for partition, commit in self._committed(group).items()})

    def ends(self, topics: Sequence[Topic]) -> Positions:
        """The ends of these topics, records of open transactions included."""
        partitions = [partition for topic in topics for partition in partitions_of(self._reader, topic)]
        return as_positions(self._reader.end_offsets(partitions))

    def all_checkpoint_metadata(self, group: str) -> list[str]:
        """What the members of the group have committed beside their offsets, each text once and no empty one."""
        texts = {parted(committed.metadata)[1] for committed in self._committed(group).values()}
        return sorted(texts - {""})

    @clients.patiently
    def has_members(self, group: str, but: str | None = None) -> bool:
        """Whether anyone is in the group, `but` for the member of this name.

        One that has ended or was killed counts until its session has lapsed.
        """
        members = self._admin.describe_groups([group])[group]["members"]
        return any(but is None or member["group_instance_id"] != f"{group}-{but}" for member in members)

    def groups(self) -> set[str]:
        """The names of all groups that have members or committed offsets."""
        return groups_of(self._admin)

    @clients.patiently
    def members(self, groups: Iterable[str]) -> dict[str, int]:
        """How many members each group has, those included that have ended or were killed a moment ago."""
        described = self._admin.describe_groups(list(groups))
        return {group: len(one["members"]) for group, one in described.items()}

    @clients.patiently
    def _committed(self, group: str) -> Mapping[TopicPartition, OffsetAndMetadata]:
        committed: Mapping[str, Mapping[TopicPartition, OffsetAndMetadata]] = self._admin.list_group_offsets([group])
        return committed.get(group, {})

    def _progress(self, group: str, topics: Sequence[Topic], topic_ids: Mapping[str, str]) -> GroupProgress:
        committed = self._committed(group)
        had = _checkpoints(committed)
        partitions = [partition for topic in topics for partition in partitions_of(self._reader, topic)]
        # A member that was killed may have left a transaction open. Nobody can read what stands behind it, such as what
        # the next member has published, until the broker has aborted it; that is lag too.
        begins, ends = self._reader.beginning_offsets(partitions), self._reader.end_offsets(partitions)
        present = Present(topic_ids, as_positions(begins), as_positions(ends))
        next_offsets, broken = continued(present.ends, had, present), breaks(had, present)
        lag = sum(max(0, end - next_offsets[partition]) for partition, end in present.ends.items())
        is_unfinished = any(Unfinished.from_metadata(parted(one.metadata)[1]) for one in committed.values())
        return GroupProgress(max(lag, int(is_unfinished or bool(broken))), broken, sum(next_offsets.values()))


@clients.patiently
def groups_of(admin: KafkaAdminClient) -> set[str]:
    """The names of all groups that have members or committed offsets."""
    # A broker that has just started lists no groups, without an error, until it begins to load them. A request for the
    # offsets of any group, known or not, is answered only after that.
    admin.list_group_offsets(["any"])
    return {str(group["group_id"]) for group in admin.list_groups()}


def _checkpoints(committed: Mapping[TopicPartition, OffsetAndMetadata]) -> Checkpoints:
    return {
        (partition.topic, partition.partition): Checkpoint(one.offset, parted(one.metadata)[0])
        for partition, one in committed.items()
    }


@contextmanager
def lag_reader(kafka: KafkaSettings) -> Iterator[LagReader]:
    """A LagReader with its connections. Raises Fatal if the broker does not answer."""
    with (
        closing(clients.admin(kafka)) as admin,
        closing(clients.consumer(kafka, isolation_level="read_uncommitted")) as reader,
    ):
        yield LagReader(admin, reader)
