"""The offsets that the broker has confirmed to a member, against those that it gives back later.

A broker (4.1.1) that was killed has come back with earlier offsets of a group than it had confirmed, though its topics
were whole: seen twice in a thousand kills, see docs/reliability.md. What lies between would be done a second time. A
member that outlives the broker knows better. One that has just started knows nothing.
"""

from __future__ import annotations

from collections.abc import Mapping

import structlog
from kafka import TopicPartition
from kafka.structs import OffsetAndMetadata

from stream.continuity import parted

log = structlog.get_logger()


class ConfirmedOffsets:
    """Of one member; only its thread uses it."""

    def __init__(self, member: str) -> None:
        """Nothing is confirmed yet. member: its name, for the log."""
        self._member = member
        self._confirmed: dict[TopicPartition, OffsetAndMetadata] = {}

    def note(self, offsets: Mapping[TopicPartition, OffsetAndMetadata]) -> None:
        """The broker has confirmed a commit of these."""
        self._confirmed.update(offsets)

    def not_earlier(
        self, found: Mapping[TopicPartition, OffsetAndMetadata | None], topic_ids: Mapping[str, str]
    ) -> dict[TopicPartition, OffsetAndMetadata]:
        """`found`, what the broker has of each partition, but for those whose confirmed offset is a later one.

        topic_ids: those of the topics now. What was confirmed of another topic of the same name does not count.
        """
        later = {partition: self._later(partition, one, topic_ids) for partition, one in found.items()}
        return {partition: one for partition, one in later.items() if one is not None}

    def _later(
        self, partition: TopicPartition, found: OffsetAndMetadata | None, topic_ids: Mapping[str, str]
    ) -> OffsetAndMetadata | None:
        confirmed = self._confirmed.get(partition)
        if confirmed is None or (found is not None and confirmed.offset <= found.offset):
            return found
        if parted(confirmed.metadata)[0] != topic_ids.get(partition.topic):
            return found
        log.warning(
            f"the broker has {'no offset' if found is None else f'offset {found.offset}'} of partition"
            f" {partition.partition} of {partition.topic}, of which it has confirmed {confirmed.offset}: reading goes"
            " on there",
            member=self._member,
        )
        return confirmed
