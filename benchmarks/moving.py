"""`python -m benchmarks.moving SCANS EMBEDDER --data FOLDER`: an archive moves from dlib to another embedder.

SCANS is a folder with a truth file, manifest.tsv (docs/evaluation.md): Labeled Faces in the Wild, for example. EMBEDDER
is a preset or a TOML file. The folder's scans are ingested with dlib's embedder, as far as they are not. Then a
simulated archivist decides by the truth, through what the commands and the desk decide through: names for everybody who
is on several scans, rejections, links, separations. Then `facestream reanalyse --all --embedder EMBEDDER` runs.

Everything that has to stay is read from the catalogue before and after, and compared row by row. What follows from the
decisions is checked after: that linked faces are together and separated ones are not, and that no rejected name is
proposed. `facestream evaluate` measures how good the clusters are then.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import cycle, islice
from pathlib import Path

from psycopg import Connection
from rich.console import Console
from rich.table import Table

from catalogue import evaluated
from cli.archive import connected, open_archive
from cli.common import load_settings, now
from decisions.actions import Action, Link, Name, Reject, Separate
from decisions.people import known_person
from evaluation.truth import PlacedFace, known_faces
from producers.decisions import DecisionWriter
from producers.truth import read_truth, with_scan_ids
from settings import Settings

_FACESTREAM = (sys.executable, "-m", "cli.main")
_AUTHOR = "benchmark"
# What has to stay: the rows of each, whatever the embedder.
_STAYS = {
    "scans": "SELECT scan_id, sha256 FROM scans",
    "faces": "SELECT face_id, scan_id FROM faces",
    "names on faces": "SELECT face_id, label_id, name FROM face_catalogue JOIN names USING (label_id)",
    "people": "SELECT label_id, name, hard FROM people",
    "rejections": "SELECT face_id, label_id, decision_id FROM rejections",
    "links, both ends": "SELECT face_id, other_face_id, decision_id FROM pairs WHERE kind = 'linked'",
    "separations, both ends": "SELECT face_id, other_face_id, decision_id FROM pairs WHERE kind = 'separated'",
    "decisions that hold": "SELECT decision_id, kind, author, decided_at FROM holding_decisions",
}
# What may not be: the number of each.
_WRONG = {
    "linked faces in two clusters": """
        SELECT count(*) FROM pairs p JOIN assignments a USING (face_id) JOIN assignments b ON b.face_id = other_face_id
        WHERE kind = 'linked' AND p.face_id < other_face_id AND a.cluster_id IS DISTINCT FROM b.cluster_id""",
    "separated faces in one cluster": """
        SELECT count(*) FROM pairs p JOIN assignments a USING (face_id) JOIN assignments b ON b.face_id = other_face_id
        WHERE kind = 'separated' AND p.face_id < other_face_id AND a.cluster_id = b.cluster_id""",
    "rejected names that are proposed": "SELECT count(*) FROM suggestions JOIN rejections USING (face_id, label_id)",
    "decisions about faces that are not there": """
        SELECT count(*) FROM holding_decisions d
        WHERE face_id IS NOT NULL AND NOT EXISTS (SELECT FROM faces f WHERE f.face_id = d.face_id)""",
    "faces with another embedder": """
        SELECT count(*) FROM faces JOIN analyses USING (scan_id) WHERE provenance ->> 'embedder' NOT IN (
            SELECT provenance ->> 'embedder' FROM analyses GROUP BY 1 ORDER BY count(*) DESC LIMIT 1)""",
}

Rows = Mapping[str, set[tuple[object, ...]]]


@dataclass(frozen=True)
class Row:
    """What had to stay: how many there were and are, and how many of them are lost or new."""

    what: str
    before: int
    after: int
    lost: int
    new: int


def main() -> None:
    """Ingest, decide, move, compare, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("scans", type=Path)
    parser.add_argument("embedder")
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--json", action="store_true", help="print a line of JSON a row")
    chosen = parser.parse_args()
    settings = load_settings(chosen.data)
    _facestream("run", chosen.scans, "--data", chosen.data)
    decided = _decide(settings, chosen.scans / "manifest.tsv")
    # The consumers follow what was decided.
    _facestream("run", chosen.scans, "--data", chosen.data)
    before, _ = _state(settings)
    started = time.perf_counter()
    _facestream("reanalyse", "--all", "--embedder", chosen.embedder, "--data", chosen.data)
    seconds = time.perf_counter() - started
    after, wrong = _state(load_settings(chosen.data, models={"embedder": chosen.embedder}))
    rows = [
        Row(what, len(before[what]), len(after[what]), len(before[what] - after[what]), len(after[what] - before[what]))
        for what in _STAYS
    ]
    if chosen.json:
        for line in (*map(asdict, rows), wrong, {"decisions": decided, "seconds": seconds}):
            print(json.dumps(line))
        return
    _print(rows, wrong, seconds)


def _facestream(*arguments: object) -> None:
    """A command, with the settings of this one. Raises subprocess.CalledProcessError where it fails."""
    subprocess.run([*_FACESTREAM, *map(str, arguments)], check=True, stdout=sys.stderr, env=os.environ)


def _decide(settings: Settings, truth: Path) -> int:
    """Publish what the archivist decides, unless somebody has decided before. Returns how many decisions."""
    with (
        open_archive(settings, "label") as running,
        connected(running.database) as connection,
        DecisionWriter(running.kafka, now) as writer,
    ):
        people = _people(connection, truth)
        if writer.decisions.known_labels():
            return 0
        decided = 0
        for name, face_ids in people.items():
            # The first, and of five or more another one.
            named: list[Action] = [Name(face_id=face_id, name=name) for face_id in face_ids[: 1 + len(face_ids) // 5]]
            decided += len(writer.decide(named, _AUTHOR).decisions)
        label_ids = {name: known_person(name, writer.decisions.known_labels()).label_id for name in people}
        for actions in _about_pairs(people, label_ids):
            decided += len(writer.decide(actions, _AUTHOR).decisions)
    return decided


def _people(connection: Connection, truth: Path) -> dict[str, list[str]]:
    """The faces of everybody who is on several scans, in the order of the truth file."""
    named = read_truth(truth)
    scan_ids = [scan_id for it in named for scan_id in it.scan_ids]
    scans = evaluated.scans_named(connection, scan_ids, {it.uri for it in named if it.uri is not None})
    rows = with_scan_ids(truth, named, [scan_id for scan_id, _ in scans], {uri: [scan_id] for scan_id, uri in scans})
    faces_of: dict[str, list[PlacedFace]] = {row.scan_id: [] for row in rows if row.scan_id is not None}
    for scan_id, face_id, box in evaluated.faces_on(connection, faces_of):
        faces_of[scan_id].append(PlacedFace(face_id, box))
    people: dict[str, list[str]] = {}
    for face_id, person in known_faces(rows, faces_of, ()).people.items():
        people.setdefault(person.replace("_", " "), []).append(face_id)
    return {name: face_ids for name, face_ids in people.items() if len(face_ids) > 1}


def _about_pairs(people: Mapping[str, Sequence[str]], label_ids: Mapping[str, str]) -> Iterator[list[Action]]:
    """The last two faces of each person are linked; the next person's last face is not this person.

    For every second person, it is also separated from the person's first face.
    """
    others = islice(cycle(people), 1, None)
    for number, (name, other) in enumerate(zip(people, others, strict=False)):
        own, foreign = people[name], people[other][-1]
        actions: list[Action] = [Reject(face_id=foreign, label_id=label_ids[name])]
        actions.append(Link(face_id=own[-2], other_face_id=own[-1]))
        if number % 2 == 0:
            actions.append(Separate(face_id=own[0], other_face_id=foreign))
        yield actions


def _state(settings: Settings) -> tuple[Rows, dict[str, int]]:
    """What has to stay, as it is now, and what may not be."""
    with open_archive(settings, "status") as running, connected(running.database) as connection:
        rows = {what: set(connection.execute(query).fetchall()) for what, query in _STAYS.items()}
        return rows, {what: _count(connection, query) for what, query in _WRONG.items()}


def _count(connection: Connection, query: str) -> int:
    row = connection.execute(query).fetchone()
    return int(row[0]) if row else 0


def _print(rows: Sequence[Row], wrong: Mapping[str, int], seconds: float) -> None:
    table = Table("what stays", "before", "after", "lost", "new")
    for row in rows:
        table.add_row(row.what, *(f"{number:,}" for number in (row.before, row.after, row.lost, row.new)))
    console = Console()
    console.print(table)
    for what, number in wrong.items():
        console.print(f"{what}: {number:,}")
    console.print(f"seconds of the move: {seconds:,.0f}")


if __name__ == "__main__":
    main()
