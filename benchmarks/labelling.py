"""How many names an archivist must give until the faces have theirs, and how fast a name spreads.

`python -m benchmarks.labelling` simulates an archivist who names one face after another of Labeled Faces in the Wild,
without a mistake: the face that `facestream next` asks for, the oldest face of the largest cluster without a name, or
any face. After each name it is counted how many faces, of people with two photos or more, carry the right name, given
or proposed. Index, clustering and the catalogue (a real PostgreSQL) are the system's own. Then the speed: a name in a
cluster of 20,000 faces, and among 50,000 faces from `labels` to `assignments` over a real broker.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import plotille
from psycopg import Connection
from rich.console import Console
from rich.table import Table

from benchmarks.archive import Record, analysed, published
from benchmarks.label_speed import Speed, one_cluster, through_kafka
from catalogue import suggestions, writer
from catalogue.connection import connect
from clustering.clustering import Clustering, ClusteringInput, Delta, Parameters
from index.face_index import FaceIndex
from index.parameters import Parameters as IndexParameters
from local.services import services
from schemas.base import Event
from schemas.clusters import FaceAssigned
from schemas.decisions import FaceNamed
from schemas.neighbours import NeighboursFound
from schemas.topics import topic_of
from settings import Settings

_EMBEDDINGS = Path(__file__).parents[2] / "shared" / "data" / "embeddings" / "lfw_dev.npz"
_FACES = 2838
_GOALS = (0.8, 0.9, 0.95)
_THEN = datetime(1918, 2, 24, tzinfo=UTC)
# Points of a curve that are drawn, each by the first letter of its archivist.
_MARKS = 30

Choose = Callable[["Desk"], str | None]


@dataclass(frozen=True)
class Names:
    """How many names were given until this share of the faces had theirs; None where it never came to that."""

    archivist: str
    eps: float
    share: float
    names: int | None


class Desk:
    """An archive in front of an archivist: the faces, the clusters, the names, and the catalogue to ask."""

    def __init__(self, connection: Connection, vectors: np.ndarray, truth: dict[str, str], eps: float) -> None:
        """All faces are indexed and clustered; the catalogue's tables are emptied first."""
        self.connection = connection
        self.truth = truth
        self.assigned: dict[str, FaceAssigned] = {}
        self._counted = Counter(truth.values())
        self._offsets: Counter[str] = Counter()
        self._named = 0
        self._clustering = Clustering(Parameters(eps=eps))
        connection.execute(
            "TRUNCATE scans, analyses, faces, assignments, decisions, cluster_changes, dead_letters, offsets"
        )
        index = FaceIndex(IndexParameters())
        entries = [analysed(number, vector[None]) for number, vector in enumerate(vectors)]
        found = [it for it in index.apply(entries) if isinstance(it, NeighboursFound)]
        self._write([event for entry in entries for event in (published(entry.scan_id), entry.scan)])
        self._apply(found)

    @property
    def right(self) -> float:
        """The share of faces, of people with two photos or more, that carry the right name."""
        wanted = [face_id for face_id, person in self.truth.items() if self._counted[person] > 1]
        return sum(_name(self.assigned[face_id]) == self.truth[face_id] for face_id in wanted) / len(wanted)

    def name(self, face_id: str) -> None:
        """Give a face its right name."""
        self._named += 1
        decision = FaceNamed(
            decision_id=f"{self._named:06}",
            author="benchmark",
            decided_at=_THEN + timedelta(seconds=self._named),
            face_id=face_id,
            label_id=self.truth[face_id],
            name=self.truth[face_id],
        )
        self._write([decision])
        self._apply([decision])

    def unnamed(self) -> list[str]:
        """The faces without a hard label, in the order of their ids."""
        return sorted(face_id for face_id, it in self.assigned.items() if it.hard_label is None)

    def _apply(self, said: Sequence[ClusteringInput]) -> None:
        delta: Delta = self._clustering.apply(said)
        self.assigned |= {it.face_id: it for it in delta.assignments}
        self._write(delta.assignments)

    def _write(self, events: Sequence[Event]) -> None:
        records = []
        for event in events:
            topic = topic_of(event).name
            records.append(Record(topic, 0, self._offsets[topic], event))
            self._offsets[topic] += 1
        writer.write(self.connection, records, {(topic, 0): offset for topic, offset in self._offsets.items()})


def asked_next(desk: Desk) -> str | None:
    """The face that `facestream next` asks for."""
    faces = suggestions.next_faces(desk.connection, 1)
    return faces[0].face_id if faces else None


def of_the_largest(desk: Desk) -> str | None:
    """The oldest face of the largest cluster without a name: the face that the cluster's id is of."""
    sizes = Counter(str(it.cluster_id) for it in desk.assigned.values())
    for it in desk.assigned.values():
        if it.hard_label is not None:
            del sizes[str(it.cluster_id)]
    return min(sizes, key=lambda cluster_id: (-sizes[cluster_id], cluster_id), default=None)


def at_random(seed: int) -> Choose:
    """Any face without a name."""
    generator = np.random.default_rng(seed)
    return lambda desk: str(generator.choice(desk.unnamed())) if desk.unnamed() else None


ARCHIVISTS: dict[str, Choose] = {"next": asked_next, "largest cluster": of_the_largest, "random": at_random(0)}


def simulate(desk: Desk, choose: Choose, most: int) -> list[float]:
    """The share of right names after 0, 1, 2… names, until it is above the last goal or there is nobody to name."""
    shares = [desk.right]
    anybody = at_random(1)
    while shares[-1] < _GOALS[-1] and len(shares) <= most:
        face_id = choose(desk) or anybody(desk)
        if face_id is None:
            break
        desk.name(face_id)
        shares.append(desk.right)
    return shares


def _name(assignment: FaceAssigned) -> str | None:
    return assignment.hard_label or (assignment.soft_label.label_id if assignment.soft_label else None)


def _names(archivist: str, eps: float, shares: Sequence[float]) -> Iterator[Names]:
    for goal in _GOALS:
        reached = (number for number, share in enumerate(shares) if share >= goal)
        yield Names(archivist, eps, goal, next(reached, None))


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.labelling", description=__doc__.partition("\n")[0])
    parser.add_argument("--embeddings", type=Path, default=_EMBEDDINGS, help="an .npz with E (vectors) and F (files)")
    parser.add_argument("--eps", type=float, nargs="+", default=[0.37, 0.42])
    parser.add_argument("--quick", action="store_true", help="one eps, 300 names, 5,000 faces: under a minute")
    parser.add_argument("--json", action="store_true", help="a line a row")
    arguments = parser.parse_args()
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
                    desk = Desk(connection, vectors, truth, eps)
                    shares = simulate(desk, choose, 300 if arguments.quick else _FACES)
                    curves[f"{archivist}, eps {eps}"] = shares
                    for row in _names(archivist, eps, shares):
                        add(row)
    else:
        print(f"no archivist is simulated: there is no {arguments.embeddings}")
    for speed in one_cluster(5_000 if arguments.quick else 20_000):
        add(speed)
    with tempfile.TemporaryDirectory() as folder:
        add(through_kafka(5_000 if arguments.quick else 50_000, Path(folder)))
    if not arguments.json:
        _print(rows, curves)


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
        marked = range(0, len(shares), max(1, len(shares) // _MARKS))
        figure.plot(list(marked), [shares[it] for it in marked], label=label, lc=colour, marker=label[0])
    print(figure.show(legend=True))
    speeds = Table(*(name.replace("_", " ") for name in Speed.__dataclass_fields__))
    for row in rows:
        if isinstance(row, Speed):
            cells = [f"{value:,.3g}" if isinstance(value, float) else value for value in asdict(row).values()]
            speeds.add_row(*("" if cell is None else f"{cell:,}" if isinstance(cell, int) else cell for cell in cells))
    console.print(speeds)


if __name__ == "__main__":
    main()
