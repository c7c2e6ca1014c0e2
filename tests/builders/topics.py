"""`assignments` and `clusters` in memory, with a cluster consumer that is killed between its transactions."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from clustering.clustering import Clustering, Delta
from clustering.reconciliation import Expected, Published
from clustering.redirects import Redirects
from consumers.cluster import FORMER, difference, place_of
from schemas.clusters import Change, ClusterChanged, FaceAssigned
from schemas.codec import encoded
from schemas.topics import Tombstone
from stream.chunks import DELTA, Chunk, chunks
from stream.reading import latest
from stream.records import Positions, Publication, Unfinished
from tests.builders.oracle import assert_splits_are_true


@dataclass
class Topics:
    """What a broker holds: values and headers by face, the change log, and what the group has committed.

    Every transaction is checked: no assignment is published twice, or after the changes of its delta, and the log leads
    to the sizes whenever a delta is complete.
    """

    values: dict[str, FaceAssigned | None] = field(default_factory=dict)
    superseded: list[tuple[str, FaceAssigned | None]] = field(default_factory=list)
    headers: dict[str, dict[str, bytes]] = field(default_factory=dict)
    sizes: dict[str, int] = field(default_factory=dict)
    redirects: Redirects = field(default_factory=Redirects)
    known: set[str] = field(default_factory=set)
    offset: int = 0
    metadata: str = ""
    transactions: int = 0
    # Of the delta that is being published.
    changes: list[ClusterChanged] = field(default_factory=list)
    before: dict[str, FaceAssigned] = field(default_factory=dict)

    @property
    def assignments(self) -> dict[str, FaceAssigned]:
        return {face_id: value for face_id, value in self.values.items() if value is not None}

    @property
    def unfinished(self) -> Unfinished | None:
        return Unfinished.from_metadata(self.metadata)

    def commit(self, chunk: Chunk, positions: Positions) -> None:
        """One transaction."""
        self.transactions += 1
        is_log_only = all(isinstance(output, ClusterChanged) for output, _ in chunk.outputs)
        assert is_log_only or not self.changes, "an assignment after changes of clusters"
        for output, headers in chunk.outputs:
            if isinstance(output, ClusterChanged):
                self._log(output)
            else:
                assert isinstance(output, FaceAssigned | Tombstone)
                value = None if isinstance(output, Tombstone) else output
                assert self.values.get(output.key) != value, "published twice"
                self.superseded.append((output.key, self.values.get(output.key)))
                self.values[output.key], self.headers[output.key] = value, dict(headers)
        self.metadata = chunk.unfinished.as_metadata() if chunk.unfinished else ""
        if chunk.unfinished is None:
            ((_, self.offset),) = positions.items()
            self._assert_complete()

    def published(self, clustering: Clustering) -> Published:
        """As `consumers.cluster.published_in` reads it."""
        expected = Expected(clustering)
        # Superseded records come before the latest ones.
        superseded = [(face_id, encoded(value)) for face_id, value in self.superseded if value is not None]
        present = [(face_id, None if value is None else encoded(value)) for face_id, value in self.values.items()]
        values = latest(expected.different([*superseded, *present]))
        unfinished = self.unfinished
        if unfinished is None:
            return Published(values, expected.same)
        delta = unfinished.delta.encode()
        former = {
            face_id: place_of(headers[FORMER])
            for face_id, headers in self.headers.items()
            if headers.get(DELTA) == delta
        }
        return Published(values, expected.same, former, unfinished.logged)

    def _log(self, change: ClusterChanged) -> None:
        self.changes.append(change)
        self.redirects.follow([change])
        self.known.add(change.cluster_id)
        if change.change in (Change.MERGED, Change.RETIRED):
            del self.sizes[change.cluster_id]
            return
        old = self.sizes.get(change.cluster_id)
        assert (change.change is Change.CREATED) == (old is None)
        assert old is None or change.change is not Change.GROWN or change.size > old
        assert old is None or change.change is not Change.SHRUNK or change.size < old
        self.sizes[change.cluster_id] = change.size

    def _assert_complete(self) -> None:
        """Assignments, the log, its redirects and splits agree."""
        present = self.assignments
        assert self.sizes == Counter(one.cluster_id for one in present.values() if one.cluster_id is not None)
        assert_splits_are_true(self.before, present, Delta(tuple(self.changes)))
        for change in self.changes:
            assert change.successor is None or change.successor in self.sizes
            assert set(change.parts) <= self.sizes.keys()
        for cluster_id in self.known:
            end = self.redirects.resolve(cluster_id)
            assert end == cluster_id if cluster_id in self.sizes else end is None or end in self.sizes
        self.before, self.changes = present, []


class Killed(Exception):
    """The process ends here."""


def publish(
    topics: Topics, publication: Publication, offset: int, size: int, kill_after: int | None, *, resume: bool = False
) -> None:
    """Publish as the loop does, in chunks; raises Killed after so many transactions."""
    positions = {("neighbours", 0): offset}
    resumed = topics.unfinished if resume else None
    unfinished = resumed or Unfinished(f"delta-{topics.transactions}", positions)
    for number, chunk in enumerate(chunks(publication, unfinished, size, resumed=resumed is not None)):
        if number == kill_after:
            raise Killed
        topics.commit(chunk, positions)


def start(topics: Topics, clustering: Clustering, offset: int, size: int, kill_after: int | None) -> None:
    """What a start publishes, for a clustering that was restored at `offset`; raises Killed."""
    publications: Sequence[Publication] = difference(clustering, topics.published(clustering), topics.unfinished)
    for number, publication in enumerate(publications):
        before = topics.transactions
        publish(topics, publication, offset, size, kill_after, resume=number == 0)
        if kill_after is not None:
            kill_after = max(0, kill_after - (topics.transactions - before))
