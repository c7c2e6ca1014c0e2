"""What a member has of its topics beside offsets: their ids, numbers of partitions and leader epochs.

`stream.continuity` compares that with the topics as they are. Only the thread of the member uses it.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from kafka import KafkaConsumer, TopicPartition
from kafka.errors import LogTruncationError
from kafka.structs import OffsetAndMetadata

from errors import Fatal
from schemas.topics import Checkpoint, topic_named
from settings import KafkaSettings
from stream.continuity import Checkpoints, Present, beside
from stream.reading import as_positions, partitions_of
from stream.records import Positions
from stream.topic_states import check_growth
from stream.topics import topic_ids

# So long a topic may be missing from what the broker says.
_LONGEST_ABSENCE_S = 30.0


class FollowedTopics:
    """The topics of a consumer that is a member of a group."""

    def __init__(self, kafka: KafkaSettings, consumer: KafkaConsumer, names: Sequence[str]) -> None:
        self._kafka = kafka
        self._consumer = consumer
        self._names = names
        # As of `note`. They are committed beside offsets.
        self._ids: dict[str, str] = {}
        self._partitions: dict[str, int] = {}
        # The offset after a record that was read, and the leader epoch of that record.
        self._epochs: dict[tuple[str, int], tuple[int, int]] = {}
        self._missing_since: dict[str, float] = {}

    def note(self, assigned: Sequence[TopicPartition]) -> dict[tuple[str, int], Checkpoint]:
        """Note the topics as they are now. Returns the beginnings of the assigned partitions that were recreated.

        Kafka drops what was committed in a topic that is deleted; this member knows it.
        """
        before = self._ids
        if assigned:
            self._ids = self._ids_now()
            # What the client has not heard yet, the broker knows.
            unheard = [name for name in self._names if name not in self._ids]
            self._ids |= topic_ids(self._kafka, unheard) if unheard else {}
        self._partitions = {name: self._partitions_now(name) for name in self._ids}
        return {
            (partition.topic, partition.partition): Checkpoint(0, before[partition.topic])
            for partition in assigned
            if partition.topic in before and partition.topic in self._ids
            if before[partition.topic] != self._ids[partition.topic]
        }

    @property
    def ids(self) -> Mapping[str, str]:
        """The ids of the topics, as of `note`."""
        return self._ids

    def ask_for_ids(self) -> None:
        """Note the ids that the broker has for the topics, whatever the client has heard."""
        self._ids = topic_ids(self._kafka, self._names)

    def check_growth(self) -> None:
        """Raise Fatal where a topic was given more partitions than its records were sent to."""
        check_growth(self._kafka, self._partitions)

    def have_changed(self) -> bool:
        """Whether a topic was recreated or was given more partitions: kafka-python reads on.

        Raises Fatal where one has been missing for long.
        """
        now, changed = self._ids_now(), False
        for name, known in self._ids.items():
            present = now.get(name)
            if present is not None:
                self._missing_since.pop(name, None)
            elif time.monotonic() > self._missing_since.setdefault(name, time.monotonic()) + _LONGEST_ABSENCE_S:
                raise Fatal(f"the topic {name} was deleted: the next start recreates it")
            changed |= present not in (None, known) or self._partitions_now(name) > self._partitions.get(name, 0)
        return changed

    def begin(self, had: Checkpoints, broken: Iterable[tuple[str, int]]) -> None:
        """Reading goes on after what was read, but for broken partitions."""
        left = had.keys() - set(broken)
        self._epochs = {partition: (had[partition].offset, had[partition].leader_epoch) for partition in left}

    def read(self, consumed: Any) -> None:  # noqa: ANN401
        """A record was read."""
        self._epochs[consumed.topic, consumed.partition] = consumed.offset + 1, consumed.leader_epoch

    def beginnings(self, topic: str) -> Positions:
        """The first offset of each partition of a topic, assigned or not."""
        return as_positions(self._consumer.beginning_offsets(partitions_of(self._consumer, topic_named(topic))))

    def checkpoints(self, positions: Positions) -> Checkpoints:
        """The same positions with what is kept beside them."""
        return {
            (topic, number): Checkpoint(offset, self._ids.get(topic, ""), self._epoch(topic, number, offset))
            for (topic, number), offset in positions.items()
        }

    def as_offsets(self, positions: Positions, metadata: str = "") -> dict[TopicPartition, OffsetAndMetadata]:
        """Positions as kafka-python commits them, each with the topic's id and the checkpoint metadata beside it."""
        return {
            TopicPartition(*partition): OffsetAndMetadata(one.offset, beside(one.topic_id, metadata), one.leader_epoch)
            for partition, one in self.checkpoints(positions).items()
        }

    def present(self, had: Checkpoints) -> Present:
        """The assigned partitions as they are now. One that has other records than were read ends where they differ."""
        assigned = sorted(self._consumer.assignment())
        begins, ends = self._consumer.beginning_offsets(assigned), self._consumer.end_offsets(assigned)
        differ = self._differing(had, begins)
        return Present(
            self._ids,
            as_positions(begins),
            as_positions({partition: min(end, differ.get(partition, end)) for partition, end in ends.items()}),
        )

    def _epoch(self, topic: str, number: int, offset: int) -> int:
        """A leader epoch that has all records before an offset: that of a record before it; -1 where none is known."""
        after, epoch = self._epochs.get((topic, number), (-1, -1))
        if offset <= after:
            return epoch
        state = self._consumer._subscription.assignment.get(TopicPartition(topic, number))
        position = state.position if state else None
        # Behind markers of transactions, which may be of a later epoch.
        return int(position.leader_epoch) if position and position.offset == offset else -1

    def _differing(self, had: Checkpoints, begins: Mapping[TopicPartition, int]) -> dict[TopicPartition, int]:
        """Where the log differs from the one that was read, by its leader epochs; partitions that agree are left out.

        A broker that lost its last records has a new epoch. So this is noticed also when it has others in their place.
        """
        for partition, begin in begins.items():
            one = had.get((partition.topic, partition.partition), Checkpoint(begin))
            self._consumer._subscription.seek(partition, OffsetAndMetadata(one.offset, "", one.leader_epoch))
        try:
            for partition in begins:
                self._consumer.position(partition)
        except LogTruncationError as error:
            # None where the broker has not got so far: all may be different.
            return {
                partition: int(begins[partition] if divergent is None else divergent.offset)
                for partition, divergent in error.divergent_offsets.items()
            }
        return {}

    def _ids_now(self) -> dict[str, str]:
        """The ids of the topics, as the broker has last given them; those that are not there are left out."""
        ids = {name: self._consumer._cluster.topic_id(name) for name in self._names}
        return {name: str(topic_id) for name, topic_id in ids.items() if topic_id is not None}

    def _partitions_now(self, topic: str) -> int:
        return len(self._consumer._cluster.partitions_for_topic(topic) or ())
