"""Batches of records that one foreign record does not end: what kafka-python cannot read is skipped, and reported.

kafka-python (3.0.12) raises CorruptRecordError for a batch that holds a header whose name is not UTF-8, and errors of
its codecs for one that it cannot decompress. It then stands before the batch for ever, and so would every reader.
Here such a record is read with its bytes as they are (`schemas.topics.NotUtf8`). What nobody can read is one record in
place of it, whose headers are `Unreadable`; reading continues behind it.
"""

from __future__ import annotations

import zlib
from typing import Any

from kafka.errors import CorruptRecordError
from kafka.record import memory_records
from kafka.record.default_records import DefaultRecord, DefaultRecordBatch
from kafka.record.util import decode_varint

from schemas.topics import NotUtf8

# So much a batch may unpack to. Few bytes of gzip can be more than a machine has.
_MOST_UNPACKED = 256 * 1024 * 1024
# What a dead letter of an unreadable batch has of its bytes.
_BEGINNING = 64 * 1024


class Unreadable(list[Any]):
    """In place of the headers of a record that nobody can read: why, and the offsets that it stands for."""

    def __init__(self, reason: str, first: int, last: int) -> None:
        super().__init__()
        self.reason = f"{reason} (offset {first})" if first == last else f"{reason} (offsets {first} to {last})"


def install() -> None:
    """Let every consumer of this process read batches so. It has no option for it."""
    memory_records.DefaultRecordBatch = TolerantBatch


class TolerantBatch(DefaultRecordBatch):  # type: ignore[misc]
    """Yields a record for whatever is in a batch, and raises nothing."""

    def __init__(self, buffer: Any) -> None:  # noqa: ANN401
        super().__init__(buffer)
        self._damage: str | None = None
        # As the base class has them; it has no types.
        self._buffer: bytearray
        self._pos: int
        self._num_records: int
        self._next_record_index: int
        self._decompressed: bool

    def validate_crc(self) -> bool:
        """True. A wrong checksum is reported by the one record of the batch."""
        if not super().validate_crc():
            self._damage = "the batch is damaged: its checksum is another one"
        return True

    def __iter__(self) -> TolerantBatch:
        if self._damage is None and not self.is_control_batch:
            try:
                self._unpack()
            except Exception as error:  # noqa: BLE001 - of five codecs, which have no error in common
                self._damage = f"the batch cannot be decompressed ({error})"
        return self

    def _unpack(self) -> None:
        if self.compression_type == self.CODEC_GZIP and not self._decompressed:
            unpacker = zlib.decompressobj(wbits=16 + zlib.MAX_WBITS)
            unpacked = unpacker.decompress(memoryview(self._buffer)[self._pos :], _MOST_UNPACKED)
            if unpacker.unconsumed_tail or not unpacker.eof:
                raise ValueError(f"it is more than {_MOST_UNPACKED // 2**20} MiB, or breaks off")
            self._buffer, self._pos, self._decompressed = bytearray(unpacked), 0, True
        self._maybe_uncompress()

    def __next__(self) -> Any:  # noqa: ANN401
        if self.is_control_batch:
            return super().__next__()
        if self._damage is not None:
            return self._rest(self._damage)
        if self._next_record_index >= self._num_records:
            raise StopIteration
        try:
            return super().__next__()
        except CorruptRecordError as error:
            try:
                return self._read_foreign()
            except (ValueError, IndexError):
                return self._rest(f"the record is damaged ({error})")

    next = __next__

    def _rest(self, reason: str) -> Any:  # noqa: ANN401
        """One record for all that is left of the batch; its offset is the last one, so reading continues behind."""
        if self._next_record_index >= max(self._num_records, 1):
            raise StopIteration
        first = self.base_offset + self._next_record_index
        self._next_record_index = max(self._num_records, 1)
        value = bytes(memoryview(self._buffer)[self._pos : self._pos + _BEGINNING])
        return self._record(
            self.last_offset, self.max_timestamp, None, value, Unreadable(reason, first, self.last_offset)
        )

    def _read_foreign(self) -> Any:  # noqa: ANN401
        """The next record, with names of headers that are not UTF-8. Raises ValueError and IndexError.

        The format is in Kafka's documentation, "Record".
        """
        length, start = decode_varint(self._buffer, self._pos)
        _, position = decode_varint(self._buffer, start)
        delta, position = decode_varint(self._buffer, position)
        offset_delta, position = decode_varint(self._buffer, position)
        key, position = self._bytes(position)
        value, position = self._bytes(position)
        count, position = decode_varint(self._buffer, position)
        headers = []
        for _ in range(count):
            name, position = self._bytes(position)
            header, position = self._bytes(position)
            headers.append((_name(name), header))
        if position - start != length:
            raise ValueError("another length")
        self._pos = position
        self._next_record_index += 1
        timestamp = self.max_timestamp if self.timestamp_type == self.LOG_APPEND_TIME else self.first_timestamp + delta
        return self._record(self.base_offset + offset_delta, timestamp, key, value, headers)

    def _bytes(self, position: int) -> tuple[bytes | None, int]:
        length, position = decode_varint(self._buffer, position)
        if length < 0:
            return None, position
        if position + length > len(self._buffer):
            raise ValueError("it breaks off")
        return bytes(self._buffer[position : position + length]), position + length

    def _record(self, offset: int, timestamp: int, key: bytes | None, value: bytes | None, headers: list[Any]) -> Any:  # noqa: ANN401
        return DefaultRecord(len(value or b""), offset, timestamp, self.timestamp_type, key, value, headers)


def _name(name: bytes | None) -> str:
    if name is None:
        raise ValueError("the name of a header is missing")
    try:
        return name.decode()
    except UnicodeDecodeError:
        return NotUtf8(name)
