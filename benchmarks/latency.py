"""`python -m benchmarks.latency`: how long after a face is seen its row is in the catalogue, at a steady rate.

All that comes after detection runs as processes: broker, index, clusterer, catalogue, database. An archive of `--faces`
is there already. Then scans of two faces are published to `faces` at `--rate` faces a second, as detect publishes them,
and each is timed from then until another connection sees its row in `assignments`. That one asks every 20 ms. Further
rows have the parts of that, by the times of the records: until a consumer sends what it made of it, which the next one
reads once it is committed.
"""

from __future__ import annotations

import argparse
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path

from psycopg import Connection

from benchmarks.archive import DEFAULT_WORLD, Archive
from benchmarks.measurement import Row, percentiles, print_json, print_table
from benchmarks.parameters import by_default
from benchmarks.through_kafka import Consumers, Feed, broker_and_feed
from benchmarks.world import WORLDS
from catalogue.connection import connect
from cli.common import now
from consumers.references import event_of
from index.entries import Analysed
from producers.references import publish_reference
from schemas.neighbours import parse_neighbours_key
from schemas.topics import ASSIGNMENTS, NEIGHBOURS, Topic
from settings import KafkaSettings
from stream.reading import end_of, undecoded_until

_CONSUMERS = ("index", "cluster", "catalogue")
_FACES_A_SCAN = 2
_BATCH = 2_048
_ASK_EVERY_S = 0.02
_LONGEST_WAIT_S = 60.0


class Waiting:
    """The faces whose rows are not there yet, and when the others were published and seen. Used by two threads.

    seen: face id to the seconds since 1970 of both.
    """

    def __init__(self) -> None:
        """No face."""
        self.seen: dict[str, tuple[float, float]] = {}
        self._since: dict[str, float] = {}
        self._lock = threading.Lock()

    def begin(self, entry: Analysed) -> None:
        """From now on these faces are waited for."""
        with self._lock:
            self._since.update((face.face_id, time.time()) for face in entry.scan.faces)

    def names(self) -> list[str]:
        """The ids of the faces that are waited for."""
        with self._lock:
            return list(self._since)

    def end(self, names: Sequence[str]) -> None:
        """The rows of these faces are there."""
        seen = time.time()
        with self._lock:
            self.seen.update((name, (self._since.pop(name), seen)) for name in names)


def measure(faces: int, rate: float, seconds: float, world: str, folder: Path) -> Iterator[Row]:
    """One row. `rate`: faces a second, for so many seconds. world: whose faces."""
    archive = Archive(faces + int(rate * seconds), world=world)
    with broker_and_feed(folder, database=True) as (running, _, feed):
        reference = by_default(archive).reference
        if reference is not None:
            publish_reference(running.kafka, event_of(reference, now()), now)
        with Consumers(running, folder, _CONSUMERS) as consumers:
            for entries in archive.batches(_BATCH):
                for entry in entries:
                    if entry.analysis * _FACES_A_SCAN < faces:
                        feed.publish(entry)
            feed.wait_until_done(consumers)
            with connect(running.database) as connection:
                connection.autocommit = True
                waiting = Waiting()
                taken = _publish_steadily(feed, archive, faces, rate, waiting, connection)
            consumers.check()
        parts = _parts(running.kafka, waiting.seen)
    whole = [end - begin for begin, end in waiting.seen.values()]
    what = f"from a face to its row, at {rate:,.0f} faces/s, {world}"
    yield Row(what, faces, len(whole) / taken, *percentiles(whole))
    for name, part in parts.items():
        yield Row(name, faces, None, *percentiles(part))


def _parts(kafka: KafkaSettings, seen: Mapping[str, tuple[float, float]]) -> dict[str, list[float]]:
    """The seconds of each stage, for each face that was seen."""
    neighbours = {parse_neighbours_key(key)[0]: sent for key, sent in _first_sent(kafka, NEIGHBOURS).items()}
    assigned = _first_sent(kafka, ASSIGNMENTS)
    parts: dict[str, list[float]] = {"index": [], "cluster": [], "catalogue": []}
    for face_id, (published, row_seen) in seen.items():
        times = (published, neighbours[face_id.rpartition("#")[0]], assigned[face_id], row_seen)
        for name, (begin, end) in zip(parts, pairwise(times), strict=True):
            parts[name].append(end - begin)
    return parts


def _first_sent(kafka: KafkaSettings, topic: Topic) -> dict[str, float]:
    """When the first record of each key was sent, in seconds since 1970."""
    sent: dict[str, float] = {}
    for consumed in undecoded_until(kafka, end_of(kafka, topic)):
        sent.setdefault(consumed.key.decode(), consumed.timestamp / 1000)
    return sent


def _publish_steadily(
    feed: Feed, archive: Archive, faces: int, rate: float, waiting: Waiting, connection: Connection
) -> float:
    """Publish what is left of the archive at this rate until all rows are there. Returns the seconds that it took."""
    ended = threading.Event()
    with ThreadPoolExecutor(1) as pool:
        watching = pool.submit(_watch, waiting, connection, ended)
        try:
            began = time.perf_counter()
            for number, (entry,) in enumerate(archive.batches(_FACES_A_SCAN, start=faces)):
                time.sleep(max(0.0, began + number * _FACES_A_SCAN / rate - time.perf_counter()))
                waiting.begin(entry)
                feed.publish(entry)
            taken = time.perf_counter() - began
            deadline = time.perf_counter() + _LONGEST_WAIT_S
            while waiting.names() and time.perf_counter() < deadline and not watching.done():
                time.sleep(_ASK_EVERY_S)
        finally:
            ended.set()
        watching.result()
    if left := len(waiting.names()):
        raise RuntimeError(f"{left} faces have no row after {_LONGEST_WAIT_S:.0f} s")
    return taken


def _watch(waiting: Waiting, connection: Connection, ended: threading.Event) -> None:
    while not ended.wait(_ASK_EVERY_S):
        if names := waiting.names():
            rows = connection.execute("SELECT face_id FROM assignments WHERE face_id = ANY(%s)", [names]).fetchall()
            waiting.end([name for (name,) in rows])


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.latency", description=__doc__.partition("\n")[0])
    parser.add_argument("--faces", type=int, default=20_000, help="that are there already, 11,000 or more (20,000)")
    parser.add_argument("--rate", type=float, default=200.0, help="faces a second (200)")
    parser.add_argument("--seconds", type=float, default=60.0, help="for so long (60)")
    worlds = sorted(path.stem for path in WORLDS.glob("*.npz"))
    parser.add_argument("--world", choices=worlds, default=DEFAULT_WORLD, help=f"whose faces ({DEFAULT_WORLD})")
    parser.add_argument("--json", action="store_true", help="print JSON")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="facestream-") as folder:
        Path(folder).chmod(0o755)  # the database runs as a user of its own
        rows = measure(options.faces, options.rate, options.seconds, options.world, Path(folder))
        if options.json:
            print_json(rows)
        else:
            print_table(rows, dict)


if __name__ == "__main__":
    main()
