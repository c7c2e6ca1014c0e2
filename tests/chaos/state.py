"""What a run has come to: the topics and the tables, as they can be compared with those of another run.

Left out is what differs between any two runs: numbers of analyses (offsets), moments, and folders.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from psycopg import Connection

from consumers.cluster import clustering_of, difference, present_parameters, published_in
from schemas.base import Event
from schemas.clusters import Change, ClusterChanged, FaceAssigned
from schemas.faces import ScanAnalysed
from schemas.neighbours import NeighboursFound
from schemas.scans import ScanPublished
from schemas.topics import ASSIGNMENTS, CLUSTERS, DEAD_LETTERS, FACES, LABELS, NEIGHBOURS, SCANS, Tombstone
from settings import KafkaSettings, Settings
from stream.reading import read_to_end

_TABLES = {
    "scans": "SELECT scan_id, sha256, media_type, collection, page, metadata::text, years FROM scans",
    "analyses": "SELECT scan_id, sha256, width, height, provenance::text FROM analyses",
    "faces": "SELECT face_id, scan_id, box_left, box_top, box_right, box_bottom, landmarks::text, score, size_px, "
    "sharpness, embedding::text FROM faces",
    "assignments": "SELECT face_id, scan_id, cluster_id, role, hard_label, soft_label, probability, "
    "distribution::text FROM assignments",
    "decisions": "SELECT * FROM decisions",
    "known_labels": "SELECT * FROM known_labels",
    "dead_letters": "SELECT key, consumer, reason FROM dead_letters",
    "row_counts": "SELECT * FROM row_counts",
    # Sums of the same value may have more or fewer zeros at the end.
    "cluster_totals": "SELECT cluster_id, size, named, unsettled, trim_scale(uncertainty), digest FROM cluster_totals",
    "cluster_labels": "SELECT * FROM cluster_labels WHERE faces <> 0",
    "label_totals": "SELECT * FROM label_totals WHERE hard <> 0 OR soft <> 0",
    "current clusters": "SELECT cluster_id, size FROM (SELECT DISTINCT ON (cluster_id) * FROM cluster_changes "
    "ORDER BY cluster_id, \"offset\" DESC) c WHERE change NOT IN ('merged', 'retired')",
}


@dataclass(frozen=True)
class State:
    """tables, topics: rows by name. problems: what is wrong with this run by itself."""

    tables: Mapping[str, list[Any]]
    topics: Mapping[str, list[Any]]
    problems: list[str]


def state_of(settings: Settings, connection: Connection) -> State:
    """Read everything. For a system that has processed all there is."""
    topics = _Topics(settings.kafka)
    tables = {name: sorted(connection.execute(query.encode()), key=repr) for name, query in _TABLES.items()}
    problems = [*topics.problems, *_between(topics, connection), *_from_the_beginning(settings)]
    return State(tables, topics.compared, problems)


def differences(one: State, other: State) -> list[str]:
    """Each table and topic in which two runs differ, with the first row that only one of them has."""
    found: list[str] = []
    for which in ("tables", "topics"):
        ours, theirs = getattr(one, which), getattr(other, which)
        for name in ours:
            first, second = Counter(map(repr, ours[name])), Counter(map(repr, theirs[name]))
            if first != second:
                more, less = sorted((first - second).elements()), sorted((second - first).elements())
                found.append(f"{which}: {name}: {len(more)} of ours, such as {more[:1]}; {len(less)} of {less[:1]}")
    return found


class _Topics:
    """The latest records of each topic, and what is wrong with them."""

    def __init__(self, kafka: KafkaSettings) -> None:
        self.problems: list[str] = []
        self.scans, scans_seen = self._read(kafka, SCANS, ScanPublished)
        self.faces, faces_seen = self._read(kafka, FACES, ScanAnalysed)
        self.neighbours, _ = self._read(kafka, NEIGHBOURS, NeighboursFound)
        self.assignments, _ = self._read(kafka, ASSIGNMENTS, FaceAssigned, repeats=False)
        self.dead_letters = len(list(read_to_end(kafka, DEAD_LETTERS)))
        self.labels = sorted(received.record.key or b"" for received in read_to_end(kafka, LABELS))
        # Of each record one result, however often it was tried.
        for scan_id, times in scans_seen.items():
            if times != faces_seen[scan_id]:
                self.problems.append(f"{scan_id} was published {times} times and analysed {faces_seen[scan_id]} times")
        # None for an analysis that was out of date when the index read it; never two.
        self.problems += [
            f"the neighbours of {key}, {number} were published {times} times"
            for (key, number), times in self._times_found(kafka).items()
            if times > 1
        ]
        self.sizes = self._sizes(kafka)

    @property
    def compared(self) -> dict[str, list[Any]]:
        """Without what differs between any two runs."""
        live = {(face.face_id, scan.scan_id) for scan in self.faces.values() for face in scan.faces}
        return {
            "scans": sorted((scan_id, scan.sha256, scan.collection) for scan_id, scan in self.scans.items()),
            "faces": sorted(
                (scan_id, scan.sha256, repr(scan.faces), repr(scan.provenance)) for scan_id, scan in self.faces.items()
            ),
            "edges": sorted(self._edges({face_id for face_id, _ in live})),
            "assignments": sorted(
                (face_id, repr(one.model_copy(update={"analysis": 0}))) for face_id, one in self.assignments.items()
            ),
            "clusters": sorted(self.sizes.items()),
            "labels": sorted(set(self.labels)),
            "dead-letters": [self.dead_letters],
        }

    def _edges(self, live: set[str]) -> set[tuple[str, str, float]]:
        """Between live faces: which of the two records has an edge depends on which was analysed first."""
        numbers = dict(self._analyses())
        edges: set[tuple[str, str, float]] = set()
        for record in self.neighbours.values():
            for face in record.faces:
                for other, analysis, distance in zip(face.neighbours, face.analyses, face.distances, strict=True):
                    both = (face.face_id, record.analysis), (other, analysis)
                    if all(numbers.get(face_id) == number for face_id, number in both) and {other} <= live:
                        first, second = sorted((face.face_id, other))
                        edges.add((first, second, distance))
        return edges

    def _analyses(self) -> list[tuple[str, int]]:
        return [(face_id, self.numbers[scan_id]) for scan_id, scan in self.faces.items() for face_id in _ids(scan)]

    def _read(self, kafka: KafkaSettings, topic, kind, *, repeats: bool = True):  # type: ignore[no-untyped-def] # noqa: ANN001, ANN202
        latest: dict[str, Any] = {}
        seen: Counter[str] = Counter()
        numbers: dict[str, int] = {}
        for received in read_to_end(kafka, topic):
            message = received.message
            assert isinstance(message, Event | Tombstone)
            key = message.key
            value = message if isinstance(message, kind) else None
            if not repeats and latest.get(key, Tombstone) == value:
                self.problems.append(f"{topic.name}: {key} was published twice in a row")
            latest[key] = value
            seen[key] += value is not None
            numbers[key] = received.offset
        if topic is FACES:
            self.numbers = numbers
        return {key: value for key, value in latest.items() if value is not None}, seen

    def _times_found(self, kafka: KafkaSettings) -> Counter[tuple[str, int]]:
        return Counter(
            (received.message.key, received.message.analysis)
            for received in read_to_end(kafka, NEIGHBOURS)
            if isinstance(received.message, NeighboursFound)
        )

    def _sizes(self, kafka: KafkaSettings) -> dict[str, int]:
        """The sizes that the log of changes leads to, each of which has to follow from those before."""
        sizes: dict[str, int] = {}
        for received in read_to_end(kafka, CLUSTERS):
            change = received.message
            assert isinstance(change, ClusterChanged)
            if (change.change is Change.CREATED) == (change.cluster_id in sizes):
                self.problems.append(f"clusters: {change.cluster_id} {change.change} at {received.offset}")
            if change.change in (Change.MERGED, Change.RETIRED):
                sizes.pop(change.cluster_id, None)
            else:
                sizes[change.cluster_id] = change.size
        counted = Counter(one.cluster_id for one in self.assignments.values() if one.cluster_id is not None)
        if sizes != counted:
            self.problems.append("clusters: the log of changes leads to other sizes than the assignments have")
        return sizes


def _between(topics: _Topics, connection: Connection) -> list[str]:
    """What does not agree between topics and tables, and within the tables."""
    checks: dict[str, tuple[list[Any], str]] = {
        "assignments": (
            sorted((one.face_id, one.scan_id, one.analysis, one.cluster_id) for one in topics.assignments.values()),
            "SELECT face_id, scan_id, analysis, cluster_id FROM assignments",
        ),
        "analyses": (
            sorted((scan_id, topics.numbers[scan_id]) for scan_id in topics.faces),
            "SELECT scan_id, analysis FROM analyses",
        ),
        "scans": (
            sorted((scan_id, scan.uri) for scan_id, scan in topics.scans.items()),
            "SELECT scan_id, uri FROM scans",
        ),
        "faces": (
            sorted((face_id, scan_id) for scan_id, scan in topics.faces.items() for face_id in _ids(scan)),
            "SELECT face_id, scan_id FROM faces",
        ),
    }
    problems = [
        f"the table {name} is not what the topic has"
        for name, (expected, query) in checks.items()
        if sorted(connection.execute(query.encode()), key=repr) != sorted(expected, key=repr)
    ]
    unaccounted = connection.execute(
        "SELECT scan_id FROM scans WHERE scan_id NOT IN (SELECT scan_id FROM analyses) "
        "AND scan_id NOT IN (SELECT key FROM dead_letters WHERE key IS NOT NULL)"
    ).fetchall()
    return [*problems, *(f"{scan_id} has neither an analysis nor a dead letter" for (scan_id,) in unaccounted)]


def _from_the_beginning(settings: Settings) -> list[str]:
    """What a clusterer that reads everything from the beginning would publish otherwise."""
    clustering = clustering_of(settings.kafka, present_parameters(settings))
    published = published_in(settings.kafka, ASSIGNMENTS, None, clustering)
    changed = [output.key for delta in difference(clustering, published, None) for output in delta.keyed]
    return [f"read from the beginning, {len(changed)} assignments differ, such as {changed[0]}"] if changed else []


def _ids(scan: ScanAnalysed) -> list[str]:
    return [face.face_id for face in scan.faces]
