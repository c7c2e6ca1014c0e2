"""Whether what a consumer has read continues in the topics as they are now. Pure.

Offsets mean nothing by themselves. A topic that was deleted and recreated begins at 0 again; a broker that was restored
from a backup, or lost what it had not written to its disk, ends before the offsets that were read; retention may delete
records that nobody has read. Kafka's clients then wait for ever, or go on elsewhere without a word. So a consumer keeps
the topic's id, and the leader epoch (KIP-320), beside each offset, and compares both with the topic before it reads.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import Enum

from schemas.topics import Checkpoint
from stream.records import Positions

Checkpoints = Mapping[tuple[str, int], Checkpoint]
"""(topic name, partition) to what a consumer has of it."""

_BESIDE = re.compile(r"topic=([0-9a-f-]{36})(?: (.*))?", re.DOTALL)


class Kind(Enum):
    """What happened to a topic since it was read."""

    RECREATED = "recreated"
    SHORTENED = "shortened"
    DELETED = "deleted"


@dataclass(frozen=True)
class Present:
    """Topics as they are now: the id of each, and the first offset and the end of each partition."""

    topic_ids: Mapping[str, str]
    begins: Positions
    ends: Positions


@dataclass(frozen=True)
class Break:
    """A topic does not continue where a consumer has read up to.

    partitions: of each one concerned, the offset to read next as the consumer has it, and that at which the topic ends
    (shortened) or begins (else).
    """

    topic: str
    kind: Kind
    partitions: Mapping[int, tuple[int, int]]

    @property
    def line(self) -> str:
        """For a person."""
        if self.kind is Kind.RECREATED:
            return f"the topic {self.topic} was deleted and recreated since it was read"
        where = ", ".join(
            f"partition {number} {'ends' if self.kind is Kind.SHORTENED else 'begins'} at {now}, read up to {read}"
            for number, (read, now) in sorted(self.partitions.items())
        )
        what = "records that were read" if self.kind is Kind.SHORTENED else "records before they were read"
        return f"the topic {self.topic} has lost {what} ({where})"


def breaks(had: Checkpoints, present: Present) -> list[Break]:
    """The topics that do not continue, with all that is wrong with each: one break for each kind.

    Partitions that are not in `present` are left out.
    """
    found: dict[tuple[str, Kind], dict[int, tuple[int, int]]] = {}
    for (topic, number), checkpoint in had.items():
        if (topic, number) not in present.ends:
            continue
        begin, end = present.begins[topic, number], present.ends[topic, number]
        if checkpoint.topic_id not in ("", present.topic_ids.get(topic)):
            found.setdefault((topic, Kind.RECREATED), {})[number] = checkpoint.offset, begin
        elif checkpoint.offset > end:
            found.setdefault((topic, Kind.SHORTENED), {})[number] = checkpoint.offset, end
        elif checkpoint.offset < begin:
            found.setdefault((topic, Kind.DELETED), {})[number] = checkpoint.offset, begin
    return [Break(topic, kind, partitions) for (topic, kind), partitions in found.items()]


def continued(partitions: Iterable[tuple[str, int]], had: Checkpoints, present: Present) -> Positions:
    """The offsets to read next in these partitions: those that the consumer has, where the topic continues there.

    Where nothing was read, and where the topic does not continue, the nearest offset that it has: its beginning, or
    its end.
    """
    broken = {(one.topic, number): now for one in breaks(had, present) for number, (_, now) in one.partitions.items()}
    return {
        partition: broken.get(partition, had[partition].offset if partition in had else present.begins[partition])
        for partition in partitions
    }


def beside(topic_id: str, metadata: str) -> str:
    """The text to commit beside an offset: the topic's id, and the checkpoint metadata of a step."""
    return f"topic={topic_id} {metadata}".rstrip() if topic_id else metadata


def parted(text: str | None) -> tuple[str, str]:
    """The topic's id and the checkpoint metadata that `beside` put together; no id in texts of earlier versions."""
    match = _BESIDE.fullmatch(text or "")
    return (match[1], match[2] or "") if match else ("", text or "")
