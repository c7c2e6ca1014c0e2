"""The search for traces in topics: in the files of an embedded broker, and through the interface of any other."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

from kafka import codec

from erasure.search import Finder
from errors import FacestreamError
from schemas.topics import Topic
from settings import KafkaSettings
from stream import clients
from stream.reading import partitions_of, read_before

# The header of a batch (Kafka's documentation, "Record Batch"): it has its length at 8, its attributes at 21.
_HEADER = 61
_LENGTH_AT, _ATTRIBUTES_AT, _LOG_OVERHEAD = 8, 21, 12
_CODECS = {1: "gzip", 2: "snappy", 3: "lz4", 4: "zstd"}


class UnpackableBatch(FacestreamError):
    """A compressed batch that nobody here can read."""


def compressed_batches(segment: Path) -> Iterator[bytes]:
    """The records of each compressed batch of a segment, unpacked. Raises UnpackableBatch."""
    content = segment.read_bytes()
    at = 0
    while at + _HEADER <= len(content):
        length = int.from_bytes(content[at + _LENGTH_AT : at + _LENGTH_AT + 4], "big") + _LOG_OVERHEAD
        if length < _HEADER:
            return
        name = _CODECS.get(int.from_bytes(content[at + _ATTRIBUTES_AT : at + _ATTRIBUTES_AT + 2], "big") & 7)
        if name is not None:
            try:
                yield getattr(codec, f"{name}_decode")(content[at + _HEADER : at + length])
            except Exception as error:
                raise UnpackableBatch(f"a batch of {segment.parent.name} is compressed by {name}: {error}") from error
        at += length


def found_in_topics(kafka: KafkaSettings, topics: Iterable[Topic], finder: Finder) -> tuple[Counter[str], int]:
    """How many traces each topic has, by its name, and how many tombstones have one in their key.

    Records of transactions that were aborted are looked at too. Raises KafkaError.
    """
    found: Counter[str] = Counter()
    tombstones = 0
    reader = clients.consumer(kafka, isolation_level="read_uncommitted")
    try:
        for topic in topics:
            for one in read_before(reader, reader.end_offsets(partitions_of(reader, topic))):
                headers = b"\0".join(value or b"" for _, value in one.headers)
                if one.value is None and topic.retention is None:
                    tombstones += bool(finder.found(one.key or b""))
                    continue
                count = sum(finder.found(b"\0".join((one.key or b"", one.value or b"", headers))).values())
                if count:
                    found[topic.name] += count
    finally:
        reader.close()
    return found, tombstones
