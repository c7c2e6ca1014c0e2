"""How many faces an archivist has to name until most faces have the right label, and how fast a label is propagated.

`python -m benchmarks.labelling` simulates an archivist who names faces of Labeled Faces in the Wild one by one, without
mistakes: the face that `facestream next` returns, the oldest face of the largest cluster without a hard label, or a
random face. After each decision it counts the faces, of people with two photos or more, whose hard or soft label is
right. It uses the index, the clustering and the catalogue (a real PostgreSQL) of the system. Then it measures the time
of one label in a cluster of 20,000 faces, and from `labels` to `assignments` with a real broker and 50,000 faces.

With `--reliability` it only counts how often soft labels are right, compared with their probabilities
(benchmarks/reliability.py): figures, and a diagram.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import timedelta
from pathlib import Path

import numpy as np
import plotille
from psycopg import Connection
from rich.console import Console
from rich.table import Table

from benchmarks.archive import PUBLISHED_AT, Record, analysed, published
from benchmarks.label_speed import Speed, one_cluster, through_kafka
from benchmarks.reliability import Bin, Reliability, bins_of, clustered, plot, reliability_of, show, soft_labels
from catalogue import suggestions, writer
from catalogue.connection import connect
from clustering.clustering import Clustering, ClusteringInput, Delta, Parameters
from index.face_index import FaceIndex
from index.parameters import Parameters as IndexParameters
from local.services import services
from schemas.base import Event
from schemas.clusters import FaceAssigned
from schemas.decisions import FaceNamed
from schemas.defaults import EPS
from schemas.neighbours import NeighboursFound
from schemas.topics import topic_of
from settings import ClusteringSettings, Settings

_FOLDER = Path(__file__).parents[2] / "shared" / "data" / "embeddings"
_EMBEDDINGS = _FOLDER / "lfw_dev.npz"
_RELIABILITY = [_EMBEDDINGS, _FOLDER / "lfw_dev_faded.npz"]
_FACES = 2838
_GOALS = (0.8, 0.9, 0.95)
# Points drawn of a curve, each as the first letter of its archivist.
_POINTS = 30

Choose = Callable[["LabelledArchive"], str | None]
"""A simulated archivist: the id of the face to name next, or None."""


@dataclass(frozen=True)
class Names:
    """How many faces were named until this share of the faces had the right label; None where it was not reached."""

    archivist: str
    eps: float
    share: float
    names: int | None


class LabelledArchive:
    """Faces whose people are known, with their clusters and labels, and the catalogue to query."""

    def __init__(self, connection: Connection, vectors: np.ndarray, truth: dict[str, str], eps: float) -> None:
        """Empty the catalogue's tables, then index and cluster all faces: float32, shape (n, EMBEDDING_DIMENSIONS).

        truth: the person of each face, by face id.
        """
        self.connection = connection
        self.truth = truth
        self.assigned: dict[str, FaceAssigned] = {}
        self._photos = Counter(truth.values())
        self._offsets: Counter[str] = Counter()
        self._named = 0
        self._clustering = Clustering(Parameters(eps=eps))
        connection.execute(
            "TRUNCATE scans, analyses, faces, all_assignments, decisions, all_cluster_changes, dead_letters, offsets, "
            "row_counts"
        )
        index = FaceIndex(IndexParameters())
        entries = [analysed(number, vector[None]) for number, vector in enumerate(vectors)]
        records = [record for record in index.apply(entries) if isinstance(record, NeighboursFound)]
        self._write([event for entry in entries for event in (published(entry.scan_id), entry.scan)])
        self._apply(records)

    @property
    def correct_share(self) -> float:
        """The share of faces, of people with two photos or more, that have the right label."""
        counted = [face_id for face_id, person in self.truth.items() if self._photos[person] > 1]
        return sum(_label(self.assigned[face_id]) == self.truth[face_id] for face_id in counted) / len(counted)

    def name(self, face_id: str) -> None:
        """Publish the decision that a face is its person."""
        self._named += 1
        decision = FaceNamed(
            decision_id=f"{self._named:06}",
            author="benchmark",
            decided_at=PUBLISHED_AT + timedelta(seconds=self._named),
            face_id=face_id,
            label_id=self.truth[face_id],
            name=self.truth[face_id],
        )
        self._write([decision])
        self._apply([decision])

    def unnamed(self) -> list[str]:
        """The faces without a hard label, by id."""
        return sorted(face_id for face_id, assignment in self.assigned.items() if assignment.hard_label is None)

    def _apply(self, batch: Sequence[ClusteringInput]) -> None:
        delta: Delta = self._clustering.apply(batch)
        self.assigned |= {assignment.face_id: assignment for assignment in delta.assignments}
        self._write(delta.assignments)

    def _write(self, events: Sequence[Event]) -> None:
        records = []
        for event in events:
            topic = topic_of(event).name
            records.append(Record(topic, 0, self._offsets[topic], event))
            self._offsets[topic] += 1
        writer.write(self.connection, records, {(topic, 0): offset for topic, offset in self._offsets.items()})


def next_face(archive: LabelledArchive) -> str | None:
    """The face that `facestream next` returns."""
    faces = suggestions.next_faces(archive.connection, 1)
    return faces[0].face_id if faces else None


def oldest_of_largest(archive: LabelledArchive) -> str | None:
    """The oldest face, which has the cluster's id, of the largest cluster without a hard label."""
    sizes = Counter(str(assignment.cluster_id) for assignment in archive.assigned.values())
    for assignment in archive.assigned.values():
        if assignment.hard_label is not None:
            del sizes[str(assignment.cluster_id)]
    return min(sizes, key=lambda cluster_id: (-sizes[cluster_id], cluster_id), default=None)


def random_face(seed: int) -> Choose:
    """A random face without a hard label."""
    generator = np.random.default_rng(seed)
    return lambda archive: str(generator.choice(archive.unnamed())) if archive.unnamed() else None


ARCHIVISTS: dict[str, Choose] = {
    "next": next_face,
    "largest cluster": oldest_of_largest,
    "random": random_face(0),
}


def simulate(archive: LabelledArchive, choose: Choose, limit: int) -> list[float]:
    """The share of right labels after 0, 1, 2… decisions, until it is above the last goal, or after `limit` of them."""
    shares = [archive.correct_share]
    # An archivist who has no face to choose names a random one.
    fallback = random_face(1)
    while shares[-1] < _GOALS[-1] and len(shares) <= limit:
        face_id = choose(archive) or fallback(archive)
        if face_id is None:
            break
        archive.name(face_id)
        shares.append(archive.correct_share)
    return shares


def _label(assignment: FaceAssigned) -> str | None:
    return assignment.hard_label or (assignment.soft_label.label_id if assignment.soft_label else None)


def _names(archivist: str, eps: float, shares: Sequence[float]) -> Iterator[Names]:
    for goal in _GOALS:
        reached = (number for number, share in enumerate(shares) if share >= goal)
        yield Names(archivist, eps, goal, next(reached, None))


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.labelling", description=__doc__.partition("\n")[0])
    parser.add_argument("--embeddings", type=Path, default=_EMBEDDINGS, help="an .npz with E (vectors) and F (files)")
    parser.add_argument("--eps", type=float, nargs="+", default=[EPS, 0.42])
    parser.add_argument("--quick", action="store_true", help="one eps, 300 decisions, 5,000 faces: under a minute")
    parser.add_argument(
        "--reliability", type=Path, nargs="*", metavar="SET", help="only the reliability of soft labels, on these sets"
    )
    parser.add_argument("--plot", type=Path, metavar="PNG", help="write the diagram of the reliability as an image")
    parser.add_argument("--json", action="store_true", help="print JSON, one row per line")
    arguments = parser.parse_args()
    if arguments.reliability is not None or arguments.plot is not None:
        _reliability(arguments.reliability or _RELIABILITY, arguments.plot, as_json=arguments.json)
        return
    rows: list[Names | Speed] = []
    curves: dict[str, list[float]] = {}

    def add(row: Names | Speed) -> None:
        rows.append(row)
        if arguments.json:
            print(json.dumps(asdict(row)), flush=True)

    if arguments.embeddings.is_file():
        with np.load(arguments.embeddings) as data:
            vectors = np.asarray(data["E"][:_FACES])
            people = [Path(name).parent.name for name in data["F"][:_FACES].tolist()]
        truth = {analysed(number, vectors[:1]).scan.faces[0].face_id: person for number, person in enumerate(people)}
        with (
            tempfile.TemporaryDirectory() as folder,
            services(Settings(data=Path(folder)), kafka=False, command="benchmark") as running,
            connect(running.database) as connection,
        ):
            for eps in arguments.eps[:1] if arguments.quick else arguments.eps:
                for archivist, choose in ARCHIVISTS.items():
                    archive = LabelledArchive(connection, vectors, truth, eps)
                    shares = simulate(archive, choose, 300 if arguments.quick else _FACES)
                    curves[f"{archivist}, eps {eps}"] = shares
                    for row in _names(archivist, eps, shares):
                        add(row)
    else:
        print(f"{arguments.embeddings} is missing: no archivist is simulated")
    for speed in one_cluster(5_000 if arguments.quick else 20_000):
        add(speed)
    with tempfile.TemporaryDirectory() as folder:
        add(through_kafka(5_000 if arguments.quick else 50_000, Path(folder)))
    if not arguments.json:
        _print(rows, curves)


def _reliability(paths: Sequence[Path], image: Path | None, *, as_json: bool) -> None:
    """Measure and print how reliable soft labels are on these sets."""
    rows: list[Reliability] = []
    bins: list[Bin] = []
    for path in paths:
        one, clustering = clustered(path, ClusteringSettings(), Console(stderr=True))
        labels = list(soft_labels(one, clustering))
        rows += [reliability_of(it) for it in labels]
        bins += bins_of(labels)
    if as_json:
        for line in (*map(asdict, rows), *map(asdict, bins)):
            print(json.dumps(line))
    else:
        show(rows, bins, Console(width=150))
    if image is not None:
        plot(bins, image)


def _print(rows: Sequence[Names | Speed], curves: dict[str, list[float]]) -> None:
    console = Console(width=150)
    table = Table("archivist", "eps", "faces with the right name", "names given")
    for row in rows:
        if isinstance(row, Names):
            names = "not reached" if row.names is None else f"{row.names:,}"
            table.add_row(row.archivist, f"{row.eps}", f"{row.share:.0%}", names)
    console.print(table)
    figure = plotille.Figure()
    figure.width, figure.height = 90, 20
    figure.x_label, figure.y_label = "names given", "right"
    figure.set_x_limits(min_=0)
    figure.set_y_limits(min_=0, max_=1)
    figure.color_mode, figure.with_colors = "names", console.is_terminal
    figure.register_label_formatter(float, lambda value, chars, **_: f"{value:,.4g}".ljust(chars))
    colours = ("cyan", "yellow", "magenta", "green", "red", "blue")
    for (label, shares), colour in zip(curves.items(), colours, strict=False):
        drawn = range(0, len(shares), max(1, len(shares) // _POINTS))
        figure.plot(list(drawn), [shares[count] for count in drawn], label=label, lc=colour, marker=label[0])
    print(figure.show(legend=True))
    speeds = Table(*(name.replace("_", " ") for name in Speed.__dataclass_fields__))
    for row in rows:
        if isinstance(row, Speed):
            cells = [f"{value:,.3g}" if isinstance(value, float) else value for value in asdict(row).values()]
            speeds.add_row(*("" if cell is None else f"{cell:,}" if isinstance(cell, int) else cell for cell in cells))
    console.print(speeds)


if __name__ == "__main__":
    main()
