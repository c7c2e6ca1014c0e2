"""An archive for the desk: people, each in two clusters, on a real broker and database with the consumers running."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from consumers import catalogue, cluster, index
from decisions.actions import Name
from producers.decisions import DecisionWriter
from schemas.base import DLIB_EMBEDDER, Event
from schemas.faces import Face, Provenance, Quality, ScanAnalysed
from schemas.scans import Box, ScanPublished
from settings import DatabaseSettings, KafkaSettings, Settings
from stream.stages import CATALOGUE, CLUSTER, INDEX, STAGES
from tests.builders.access import free_port
from tests.builders.clock import NOON, now
from tests.builders.kafka import publish, running, wait_until_done
from web.serve import served

STAGES_WITHOUT_DETECT = {name: STAGES[name] for name in (INDEX, CLUSTER, CATALOGUE)}

_PROVENANCE = Provenance(engine="dlib", detector="a", landmarks="b", embedder=DLIB_EMBEDDER, upsample=1, max_size=2000)
_BOX = Box(left=0.3, top=0.2, right=0.7, bottom=0.8)

USER = "Ann"


def person_vectors(people: int, seed: int = 0) -> np.ndarray:
    """The middles of two clusters of each person, float32 of shape (people, 2, 128).

    The two are 0.42 apart: too far for one cluster, and near enough to be proposed. Others are 1 apart or more.
    """
    generator = np.random.default_rng(seed)
    middles = generator.normal(size=(people, 1, 128)) * 0.1
    away = generator.normal(size=(people, 1, 128))
    away *= 0.42 / np.linalg.norm(away, axis=2, keepdims=True)
    return np.concatenate([middles, middles + away], axis=1).astype(np.float32)


@dataclass(frozen=True)
class DeskArchive:
    """An archive with a desk on it. A face of person 3 in their second cluster is `face-03-1-0`."""

    settings: Settings
    address: str

    def publish(self, folder: Path, person: int, half: int, copies: Sequence[int], spread: float = 0.02) -> None:
        """Publish scans with a face each, and their analyses, as the feed and detect would."""
        self.publish_all(folder, [(person, half, copies)], spread)

    def publish_all(
        self, folder: Path, clusters: Iterable[tuple[int, int, Sequence[int]]], spread: float = 0.02
    ) -> None:
        """The same for several clusters: person, half and copies of each."""
        messages: list[Event] = []
        for person, half, copies in clusters:
            middle = person_vectors(40)[person, half]
            for copy in copies:
                generator = np.random.default_rng((person, half, copy))
                vector = middle + generator.normal(size=128) * spread / np.sqrt(128)
                messages += _scan(folder, f"{person:02}-{half}-{copy}", vector, NOON)
        publish(self.settings.kafka, messages)

    def name(self, face_id: str, name: str, author: str = "Ben") -> None:
        """Name a face, as the command does."""
        self.name_all({face_id: name}, author)

    def name_all(self, names: Mapping[str, str], author: str = "Ben") -> None:
        """Name several faces, by their ids."""
        with DecisionWriter(self.settings.kafka, now) as writer:
            writer.decide([Name(face_id=face_id, name=name) for face_id, name in names.items()], author)

    def wait_until_done(self, within_s: float = 60) -> None:
        """Wait until every consumer has read everything."""
        wait_until_done(self.settings.kafka, STAGES_WITHOUT_DETECT, within_s)


def _scan(folder: Path, number: str, vector: np.ndarray, published_at: object) -> list[Event]:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{number}.jpg"
    draw_face(path, int(number.split("-")[0]))
    scan_id = f"album/{number}.jpg"
    common = {"scan_id": scan_id, "sha256": hashlib.sha256(path.read_bytes()).hexdigest(), "published_at": published_at}
    face = Face(
        face_id=f"face-{number}",
        box=_BOX,
        landmarks=((0.4, 0.4), (0.45, 0.4), (0.6, 0.4), (0.55, 0.4), (0.5, 0.6)),
        score=1.0,
        quality=Quality(size_px=100, sharpness=100),
        embedding=vector.astype("<f4").tobytes(),
    )
    published = ScanPublished.model_validate(
        common
        | {"uri": path.as_uri(), "media_type": "image/jpeg", "collection": "album", "metadata": {"date": "May 1918"}}
    )
    analysed = ScanAnalysed.model_validate(
        common | {"width": 250, "height": 200, "provenance": _PROVENANCE, "faces": (face,)}
    )
    return [published, analysed]


def draw_face(path: Path, person: int) -> None:
    """A drawing of a face, whose colour and mouth are the person's."""
    picture = Image.new("RGB", (250, 200), (236, 230, 214))
    draw = ImageDraw.Draw(picture)
    colour = tuple(int(it) for it in np.random.default_rng(person).integers(60, 200, size=3))
    draw.ellipse((75, 40, 175, 160), fill=colour)
    for left in (100, 135):
        draw.ellipse((left, 80, left + 15, 92), fill="white")
    draw.arc((100, 105, 150, 105 + 10 + person % 5 * 8), 0, 180, fill="black", width=3)
    picture.save(path)


@contextmanager
def desk_archive(data: Path, kafka: KafkaSettings, database: DatabaseSettings) -> Iterator[DeskArchive]:
    """An empty archive with its consumers, but for detect, and a desk at a port of its own."""
    settings = Settings.model_validate(
        {
            "data": data,
            "kafka": kafka.model_dump(),
            "database": database.model_dump(),
            "stores": {"roots": ["/"]},
            "desk": {"port": free_port(), "public_collections": ["album"]},
        }
    )
    with (
        running(settings, index.run, cluster.run, catalogue.run),
        served(settings, now, USER, exactly=False) as address,
    ):
        yield DeskArchive(settings, address)
