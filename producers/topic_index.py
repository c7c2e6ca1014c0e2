"""An index of a compacted topic, in a file of the data folder: where the latest record of each key is.

It is read instead of the topic, which would cost more the larger the archive is. It follows the topic from where it
came to the last time, so each record is read once on a machine. It is a view: deleted, it is made again.

The file is one of SQLite. Several processes may use it at once: a portion of records is written in one transaction with
the offsets after it, and records before the stored offsets are skipped.
"""

from __future__ import annotations

import sqlite3
from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from types import TracebackType
from typing import Any, Generic, TypeVar

import structlog

from errors import Fatal
from schemas.base import Event
from schemas.topics import Tombstone, Topic
from settings import KafkaSettings
from stream.reading import read_until
from stream.records import Positions, Received
from stream.records_at import records_at
from stream.topics import Extent, extent, topic_id

log = structlog.get_logger()

EventType = TypeVar("EventType", bound=Event)

_FORMAT = 1
_FOLDER = "topics"
_RECORDS_A_TRANSACTION = 10_000
_ROWS_AT_ONCE = 2000
_LONGEST_WAIT_S = 60.0
_CACHE_KIB = 65_536


@dataclass(frozen=True)
class Remembered(Generic[EventType]):
    """What an index holds of an event beside its position: further columns, by name, with their values.

    sought: those that are searched by."""

    kind: type[EventType]
    columns: Mapping[str, Callable[[EventType], object]]
    sought: Sequence[str] = ()


class TopicIndex(AbstractContextManager["TopicIndex[EventType]"], Generic[EventType]):
    """Where the latest record of each key is, as of the last `follow`. Close it, or use it as a context manager."""

    def __init__(
        self, kafka: KafkaSettings, topic: Topic, remembered: Remembered[EventType], folder: Path | None
    ) -> None:
        """Open the index in the data folder `folder`, or an empty one in memory without it, and follow the topic.

        One in memory is used also where the folder cannot be written. Raises Fatal.
        """
        self._kafka = kafka
        self._topic = topic
        self._remembered = remembered
        name = f"{topic_id(kafka, topic)}-{_FORMAT}.sqlite"
        self._path = ":memory:" if folder is None else str(folder / _FOLDER / topic.name / name)
        self._connection = self._opened()
        self.follow()

    def follow(self) -> None:
        """Read what was published since the last time."""
        with self._errors_are_fatal():
            # In this order: another process may come to a later end meanwhile.
            stored = self._positions()
            present = extent(self._kafka, self._topic.name, datetime.now(UTC))
            if not _continues(stored, present):
                self._clear()
            while any(end > self._positions()[partition] for partition, end in present.ends.items()):
                self._read_to(present.ends)
            for column in self._remembered.sought:
                # After the first reading, because sorting all at once takes less time.
                self._connection.execute(f"CREATE INDEX IF NOT EXISTS by_{column} ON records ({column})")

    def latest(self, keys: Collection[str]) -> dict[str, EventType]:
        """The latest events of these keys, read from the topic as it is now. Keys that it lacks are left out."""
        kind = self._remembered.kind
        records = self.records(keys).items()
        return {key: one.message for key, one in records if isinstance(one.message, kind)}

    def records(self, keys: Collection[str]) -> dict[str, Received]:
        """The same with their records."""
        for is_wrong in (False, False, True, False):
            if is_wrong:
                # Compaction deletes what was superseded meanwhile. What is still missing then is nowhere.
                log.warning("an index is made again", index=self._path, reason="the topic does not hold what is in it")
                self._clear()
            self.follow()
            positions = self._positions_of(keys)
            found = {
                received.message.key: received
                for received in records_at(self._kafka, self._topic.name, positions.keys())
                if isinstance(received.message, self._remembered.kind)
                and positions[received.partition, received.offset] == received.message.key
            }
            if len(found) == len(positions):
                return found
        raise Fatal(f"records of the topic {self._topic.name} vanish while they are read: try it again")

    def rows(self, condition: str, *values: str) -> list[tuple[Any, ...]]:
        """Key and remembered columns where a condition (SQL) holds."""
        columns = ", ".join(("key", *self._remembered.columns))
        return self._fetched(f"SELECT {columns} FROM records WHERE {condition}", *values)

    def rows_from(self, column: str, first: str = "", end: str | None = None) -> Iterator[tuple[Any, ...]]:
        """The same of all keys where a column (or the key) is `first` or later, and before `end`: by it, then by key.

        Texts are compared by their bytes. Rows are read in portions, so that a caller who takes long holds up no other
        process.
        """
        number = ("key", *self._remembered.columns).index(column)
        within = "" if end is None else f"{column} < ? AND"
        condition = f"{within} ({column}, key) > (?, ?) ORDER BY {column}, key LIMIT {_ROWS_AT_ONCE}"
        ends = () if end is None else (end,)
        # No key is empty: this is before all rows with `first`.
        after = (first, "")
        while portion := self.rows(condition, *ends, *after):
            yield from portion
            after = (portion[-1][number], portion[-1][0])

    def offsets(self) -> Iterator[tuple[Any, ...]]:
        """Key, offset and remembered columns of all keys of a topic of one partition, by key."""
        columns = ", ".join(("key", '"offset"', *self._remembered.columns))
        query = f"SELECT {columns} FROM records WHERE key > ? ORDER BY key LIMIT {_ROWS_AT_ONCE}"
        after = ""
        while portion := self._fetched(query, after):
            yield from portion
            after = portion[-1][0]

    def _positions_of(self, keys: Collection[str]) -> dict[tuple[int, int], str]:
        query = 'SELECT partition, "offset" FROM records WHERE key = ?'
        return {position: key for key in keys for position in self._fetched(query, key)}

    def _fetched(self, query: str, *values: str) -> list[Any]:
        with self._errors_are_fatal():
            try:
                return self._connection.execute(query, values).fetchall()
            except UnicodeEncodeError:
                return []  # No record has such a text.

    def _opened(self) -> sqlite3.Connection:
        if self._path == ":memory:":
            return self._connected()
        path = Path(self._path)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            # Those of a topic that was deleted and recreated, or of another broker.
            for other in path.parent.glob("*.sqlite*"):
                if not other.name.startswith(path.name):
                    other.unlink(missing_ok=True)
            return self._connected()
        except (OSError, sqlite3.OperationalError) as error:
            log.warning("an index in memory is used", instead_of=self._path, reason=str(error))
            self._path = ":memory:"
        except sqlite3.DatabaseError as error:
            log.warning("an index is made again", index=self._path, reason=str(error))
            path.unlink()
        return self._connected()

    def _connected(self) -> sqlite3.Connection:
        # The feed may run in another thread than the one that made it; never in two at once.
        connection = sqlite3.connect(self._path, timeout=_LONGEST_WAIT_S, isolation_level=None, check_same_thread=False)
        try:
            connection.execute(f"PRAGMA cache_size = -{_CACHE_KIB}")
            columns = "".join(f", {column}" for column in self._remembered.columns)
            connection.execute(
                "CREATE TABLE IF NOT EXISTS records "
                f'(key TEXT PRIMARY KEY, partition INTEGER, "offset" INTEGER{columns}) WITHOUT ROWID'
            )
            connection.execute(
                "CREATE TABLE IF NOT EXISTS positions (partition INTEGER PRIMARY KEY, next_offset INTEGER)"
            )
        except sqlite3.Error:
            connection.close()
            raise
        return connection

    def _positions(self) -> defaultdict[tuple[str, int], int]:
        """The offsets to read next, 0 in a partition of which nothing was read."""
        stored = self._connection.execute("SELECT partition, next_offset FROM positions").fetchall()
        return defaultdict(int, {(self._topic.name, number): offset for number, offset in stored})

    def _read_to(self, ends: Positions) -> None:
        """Read from the stored positions to these; less where another process makes the index again meanwhile."""
        stored = self._positions()
        before = {partition: min(stored[partition], end) for partition, end in ends.items()}
        records = iter(read_until(self._kafka, ends, before))
        while portion := list(islice(records, _RECORDS_A_TRANSACTION)):
            after = before | {(one.topic, one.partition): one.offset + 1 for one in portion}
            if not self._wrote(portion, before, after):
                return
            before = after
        self._wrote([], before, ends)

    def _wrote(self, records: Sequence[Received], before: Positions, after: Positions) -> bool:
        """Write records and the offsets after them; False, and nothing is written, where those before are missing."""
        with self._transaction():
            stored = self._positions()
            if any(stored[partition] < before[partition] for partition in before):
                return False
            rows: dict[str, tuple[object, ...] | None] = {}
            for one in records:
                if one.offset < stored[one.topic, one.partition]:
                    continue
                if isinstance(one.message, self._remembered.kind):
                    rows[one.message.key] = self._row(one, one.message)
                elif isinstance(one.message, Tombstone):
                    rows[one.message.key] = None
            self._connection.executemany(
                "DELETE FROM records WHERE key = ?", [(key,) for key, row in rows.items() if row is None]
            )
            marks = ", ".join("?" * (3 + len(self._remembered.columns)))
            self._connection.executemany(
                f"INSERT OR REPLACE INTO records VALUES ({marks})", [row for row in rows.values() if row is not None]
            )
            self._connection.executemany(
                "INSERT INTO positions VALUES (?, ?) ON CONFLICT (partition) "
                "DO UPDATE SET next_offset = max(next_offset, excluded.next_offset)",
                [(number, offset) for (_, number), offset in after.items()],
            )
        return True

    def _row(self, received: Received, event: EventType) -> tuple[object, ...]:
        columns = (value(event) for value in self._remembered.columns.values())
        return (event.key, received.partition, received.offset, *columns)

    def _clear(self) -> None:
        with self._transaction():
            for column in self._remembered.sought:
                self._connection.execute(f"DROP INDEX IF EXISTS by_{column}")
            self._connection.execute("DELETE FROM records")
            self._connection.execute("DELETE FROM positions")

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        with self._errors_are_fatal():
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield
            except BaseException:
                self._connection.execute("ROLLBACK")
                raise
            self._connection.execute("COMMIT")

    @contextmanager
    def _errors_are_fatal(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise Fatal(
                f"the index {self._path} cannot be used ({error}): where it is damaged, delete it, it is made again"
            ) from error

    def close(self) -> None:
        """Close the file."""
        self._connection.close()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()


def _continues(positions: Positions, present: Extent) -> bool:
    """Whether an index can follow from these positions.

    It cannot where the topic ends before them, as after a broker lost what it had not written to its disk, nor where
    tombstones since may be gone: it would hold what was deleted.
    """
    return all(
        present.tombstones_from[partition] <= position <= present.ends[partition]
        for partition, position in positions.items()
        if position > 0 and partition in present.ends
    )
