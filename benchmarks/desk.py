"""How fast the desk answers, and how many keys and seconds a name costs there and with the commands.

`python -m benchmarks.desk` writes an archive with its people, a tenth of them named, into the embedded PostgreSQL and
Kafka, serves the desk on it, and asks for each page and makes decisions one after the other. The times are those that a
client on this machine sees. The scripted archivist names the faces of the queue in Chromium, with Enter and a page that
has changed between two keys, and then as many with `facestream next` and `facestream label`.
"""

from __future__ import annotations

import argparse
import json
import logging
import random
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import structlog
from playwright.sync_api import Page, sync_playwright
from psycopg import Connection
from rich.console import Console
from rich.table import Table

from benchmarks.archive import Record
from benchmarks.catalogue import batches, embeddings
from catalogue.connection import connect
from catalogue.writer import write
from cli.common import now
from decisions.actions import Name
from decisions.beliefs import face_belief, person_belief
from local.services import services
from producers.decisions import DecisionWriter
from schemas.clusters import FaceAssigned, Suggestion
from schemas.scans import ScanPublished
from settings import Settings
from stream.topics import ensure_topics
from web.serve import served

_FACES_A_PERSON = 8
# The first faces are in clusters of so many, of which all faces of the first two are named.
_LARGE = 2_500
_LARGE_CLUSTERS = 3
_LARGE_PEOPLE = 2
_AUTHOR = "benchmark"


@dataclass(frozen=True)
class Row:
    """Milliseconds of so many answers."""

    what: str
    faces: int
    answers: int
    p50_ms: float
    p95_ms: float


@dataclass(frozen=True)
class Naming:
    """What a name costs."""

    how: str
    faces: int
    keys_per_face: float
    seconds_per_face: float


def face_id(number: int) -> str:
    """The face of this number, as benchmarks.catalogue calls it."""
    return f"{number:032x}"


def fill(connection: Connection, faces: int) -> None:
    """Write the archive: three large clusters, two of which are a person each, and many of eight faces.

    Of each tenth of the small clusters the first face is named; the others there, and those of the next, have the name
    as a suggestion that is not certain.
    """
    # Built at the end, the index of vectors takes a third of the time.
    ((index,),) = connection.execute("SELECT indexdef FROM pg_indexes WHERE indexname = 'faces_near'")
    connection.execute("DROP INDEX faces_near")
    for records in batches(embeddings(faces)):
        changed = [_changed(record) for record in records]
        write(connection, changed, {(it.topic, it.partition): it.offset + 1 for it in changed})
    connection.execute("SET maintenance_work_mem = '2GB'")
    connection.execute(index)
    connection.execute("VACUUM ANALYZE")


def _changed(record: Record) -> Record:
    """The record with the year of its scan, or with the cluster and labels of its face."""
    message = record.message
    if isinstance(message, ScanPublished):
        message = message.model_copy(
            update={"metadata": {"date": f"{record.offset % 28 + 1}.2.{1900 + record.offset % 50}"}}
        )
    elif isinstance(message, FaceAssigned):
        message = message.model_copy(update=_labels(int(message.face_id, 16)))
    return Record(record.topic, record.partition, record.offset, message)


def _labels(number: int) -> dict[str, object]:
    """What differs for this face from the assignments of benchmarks.catalogue."""
    if number < _LARGE_CLUSTERS * _LARGE:
        return {"cluster_id": face_id(number - number % _LARGE), "hard_label": _name(number)}
    cluster = number // _FACES_A_PERSON
    if name := _name(number):
        return {"hard_label": name}
    if cluster % 10 >= 2:
        return {}
    suggestion = Suggestion(label_id=f"person-{cluster - cluster % 10}", probability=0.9)
    return {"soft_label": suggestion, "distribution": (suggestion,)}


def _name(number: int) -> str | None:
    """The label id that a face is named with."""
    if number < _LARGE_CLUSTERS * _LARGE:
        return f"large-{number // _LARGE}" if number < _LARGE_PEOPLE * _LARGE else None
    return f"person-{number // _FACES_A_PERSON}" if number % (10 * _FACES_A_PERSON) == 0 else None


def name_people(settings: Settings, connection: Connection, faces: int) -> None:
    """The decisions that the hard labels come from, in Kafka and in the catalogue."""
    named = [(number, name) for number in range(faces) if (name := _name(number))]
    with DecisionWriter(settings.kafka, now) as writer:
        actions = [
            Name(face_id=face_id(number), label_id=name, name=name.replace("-", " ").capitalize())
            for number, name in named
        ]
        for start in range(0, len(actions), 500):
            decided = writer.decide(actions[start : start + 500], _AUTHOR)
            records = [Record("labels", 0, start + number, it) for number, it in enumerate(decided.decisions)]
            write(connection, records, {("labels", 0): start + len(records)})
    connection.execute("ANALYZE decisions, known_labels")


def pages(faces: int, chance: random.Random) -> dict[str, Callable[[], str]]:
    """The address of each page, another one each time."""
    clusters = faces // _FACES_A_PERSON
    small = -(-_LARGE_CLUSTERS * _LARGE // (10 * _FACES_A_PERSON)) * 10

    def anybody() -> int:
        return chance.randrange(small, clusters, 10)

    return {
        "next": lambda: "/next",
        "clusters": lambda: f"/clusters?show=all&first={chance.randrange(5) * 120}",
        "cluster": lambda: f"/cluster/{face_id(chance.randrange(small, clusters) * _FACES_A_PERSON)}",
        f"cluster of {_LARGE:,}": lambda: f"/cluster/{face_id(chance.randrange(_LARGE_CLUSTERS) * _LARGE)}",
        "person": lambda: f"/person/person-{anybody()}",
        f"person of {_LARGE:,}": lambda: f"/person/large-{chance.randrange(_LARGE_PEOPLE)}",
        "questions": lambda: f"/questions/person-{anybody()}",
        f"questions, {_LARGE:,} faces": lambda: f"/questions/large-{chance.randrange(_LARGE_PEOPLE)}",
        "face": lambda: f"/face/{face_id(chance.randrange(faces))}",
        "scan": lambda: f"/scan/album/{chance.randrange(faces // 4):08}.jpg",
        "people": lambda: "/people",
        "people by name": lambda: f"/people/options?typed=Person%20{anybody()}&new=1&field=f",
        "history": lambda: "/history",
        "orphans": lambda: "/orphans",
        "search by id": lambda: f"/search?q={chance.randrange(faces // 4):06}",
        "search by year": lambda: f"/search?year={chance.randrange(1900, 1950)}",
    }


def measured(what: str, faces: int, calls: Iterator[Callable[[], object]]) -> Row:
    """The time of each call; the first one, which warms up, is left out."""
    seconds = []
    for call in calls:
        began = time.perf_counter()
        call()
        seconds.append(time.perf_counter() - began)
    p50, p95 = np.percentile(seconds[1:], [50, 95]) * 1000
    return Row(what, faces, len(seconds) - 1, float(p50), float(p95))


def get(address: str) -> bytes:
    """A page, as a browser asks for it."""
    with urllib.request.urlopen(address, timeout=60) as answer:
        content: bytes = answer.read()
        return content


def decide(address: str, fields: Sequence[tuple[str, str]]) -> None:
    """Make a decision, as a form of a page does."""
    request = urllib.request.Request(
        f"{address}/decisions", urllib.parse.urlencode(fields).encode(), {"Origin": address}
    )
    with urllib.request.urlopen(request, timeout=60) as answer:
        answer.read()


def decisions(settings: Settings, address: str, faces: int, count: int) -> Iterator[Callable[[], object]]:
    """Namings of faces without a name."""
    with DecisionWriter(settings.kafka, now) as writer:
        known = [
            it
            for it in range(_LARGE_CLUSTERS * _LARGE + 1, faces, _FACES_A_PERSON * 3)
            if not writer.decisions.history(face_id(it))
        ]
        beliefs = [face_belief(writer.decisions, face_id(number)).model_dump_json() for number in known[: count + 1]]
    for belief in beliefs:
        fields = [("kind", "named"), ("face", belief), ("label_id", "large-0")]
        yield lambda fields=fields: decide(address, fields)  # type: ignore[misc]


def merges(settings: Settings, address: str, count: int) -> Iterator[Callable[[], object]]:
    """Mergers of the two large people; each is undone before the next, which is not measured."""
    for _ in range(count + 1):
        with DecisionWriter(settings.kafka, now) as writer:
            belief = person_belief(writer.decisions, "large-0").model_dump_json()
        yield lambda belief=belief: decide(  # type: ignore[misc]
            address, [("kind", "merged"), ("person", belief), ("label_id", "large-1")]
        )
        with DecisionWriter(settings.kafka, now) as writer:
            *_, merger = writer.decisions.history_of_person("large-0")
            decide(address, [("kind", "undone"), ("decision", merger.decision_id)])


def named_in_browser(address: str, count: int) -> Naming:
    """The queue, with Enter where somebody is proposed and a typed name elsewhere."""
    with sync_playwright() as playwright:
        chromium = shutil.which("chromium") or shutil.which("chromium-browser")
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        page = browser.new_page(base_url=address)
        page.goto("/next")
        _shown(page, "")
        began, keys = time.perf_counter(), 0
        for number in range(count):
            before = _face(page)
            if page.locator("[data-key~=Enter]").count():
                page.keyboard.press("Enter")
                keys += 1
            else:
                name = f"Xenia {number}"
                page.keyboard.type(name)
                page.keyboard.press("Enter")
                keys += len(name) + 1
            _shown(page, before)
        seconds = time.perf_counter() - began
        browser.close()
    return Naming("desk", count, keys / count, seconds / count)


def _face(page: Page) -> str:
    return page.locator("[data-page]").get_attribute("data-face") or ""


def _shown(page: Page, before: str) -> None:
    while _face(page) == before:
        page.wait_for_timeout(5)


def named_with_commands(data: Path, count: int) -> Naming:
    """The same with the commands: what is typed are eight digits of the face, the name, and the commands themselves."""
    began, keys = time.perf_counter(), 0
    for number in range(count):
        line = json.loads(_facestream("next", "--limit", "1", "--json", "--data", str(data)).splitlines()[0])
        name = f"Ylva {number}"
        _facestream("label", line["face_id"], name, "--data", str(data))
        keys += len("facestream next\n") + len(f'facestream label 12345678 "{name}"\n')
    return Naming("commands", count, keys / count, (time.perf_counter() - began) / count)


def _facestream(*arguments: str) -> str:
    done = subprocess.run([sys.executable, "-m", "cli.main", *arguments], capture_output=True, text=True, check=True)
    return done.stdout


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--faces", type=int, default=50_000, help="how many faces (default: 50000)")
    parser.add_argument("--answers", type=int, default=100, help="how many answers of each page (default: 100)")
    parser.add_argument("--namings", type=int, default=20, help="how many faces the archivist names (default: 20)")
    parser.add_argument("--json", action="store_true", help="print a line of JSON for each row")
    arguments = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    rows: list[Row] = []
    with (
        tempfile.TemporaryDirectory(prefix="facestream-") as folder,
        services(Settings(data=Path(folder)), command="benchmark") as running,
    ):
        ensure_topics(running.kafka)
        with connect(running.database) as connection:
            fill(connection, arguments.faces)
            name_people(running, connection, arguments.faces)
        with served(running, now, _AUTHOR, exactly=False) as address:
            for what, path in pages(arguments.faces, random.Random(0)).items():
                calls = (lambda path=path: get(address + path()) for _ in range(arguments.answers + 1))
                rows.append(measured(what, arguments.faces, calls))
            made = decisions(running, address, arguments.faces, arguments.answers)
            rows.append(measured("decision", arguments.faces, made))
            made = merges(running, address, max(3, arguments.answers // 10))
            rows.append(measured(f"merger of two people of {_LARGE:,}", arguments.faces, made))
            namings = [named_in_browser(address, arguments.namings)]
            namings.append(named_with_commands(Path(folder), min(5, arguments.namings)))
    for title, found in (("The desk", rows), ("A name", namings)):
        table = Table(*(name.replace("_", " ") for name in asdict(found[0])), title=title)
        for row in found:
            if arguments.json:
                print(json.dumps(asdict(row)))
            table.add_row(
                *(f"{value:,.1f}" if isinstance(value, float) else str(value) for value in asdict(row).values())
            )
        if not arguments.json:
            Console().print(table)


if __name__ == "__main__":
    main()
