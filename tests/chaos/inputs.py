"""What is fed into a chaos run: scans, analyses, decisions and withdrawals, a portion for each fault.

They are a function of the seed, ids and times included, so that the same ones can be sent again where it is not known
whether the broker has them, and two runs come to the same.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import islice
from pathlib import Path

import numpy as np
from PIL import Image

from calibration.builtin import builtin_reference
from sample.archive import COLLINS, HOPPER, Portrait
from schemas.base import Event
from schemas.decisions import (
    Decision,
    DecisionUndone,
    FaceNamed,
    FacesLinked,
    FacesSeparated,
    NameRejected,
    NotAFace,
    NotSure,
    PeopleMerged,
    PersonRenamed,
)
from schemas.scans import ScanPublished
from schemas.topics import FACES, SCANS, Tombstone
from tests.builders.analyses import one_face_scan, people
from tests.builders.clock import NOON
from tests.builders.decisions import a_decision
from tests.builders.photographs import portrait_of

Message = Event | Tombstone

# A portion: analyses of scans with one face, decisions, and every third time photographs for the networks.
_ANALYSES = 8
_A_PERSON = 12
_LABELS = ("ann", "berta", "carl", "dora")
_PHOTOGRAPHS_EVERY = 3
_WATCHED, _REFERRED = 8, 6


@dataclass
class Portion:
    """messages: what is sent, in this order. watched: the file that is put into the watched folder, if any."""

    messages: list[Message] = field(default_factory=list)
    watched: Path | None = None


@dataclass(frozen=True)
class Pictures:
    """The pictures of a run.

    blank: one without a face. watched: those that are put into the watched folder, one by one. referred: those that
    records of `scans` name.
    """

    blank: Path
    watched: Sequence[Path]
    referred: Sequence[Path]


def make_pictures(folder: Path) -> Pictures:
    """Make them in a folder: a blank sheet, and portraits of two people in several sizes."""
    folder.mkdir(parents=True, exist_ok=True)
    blank = folder / "blank.png"
    Image.new("RGB", (96, 96), "white").save(blank)
    return Pictures(blank, _portraits(folder, COLLINS, _WATCHED), _portraits(folder, HOPPER, _REFERRED))


def _portraits(folder: Path, portrait: Portrait, count: int) -> list[Path]:
    paths = [folder / f"{portrait.person.split()[1].lower()}-{number:02}.png" for number in range(count)]
    for number, path in enumerate(paths):
        portrait_of(portrait, 92 + 3 * number, reach=1.8).save(path)
    return paths


def probe(number: int, pictures: Pictures) -> list[Message]:
    """A scan for detect and one for the index, by which a run sees that all stages work again."""
    vector = people(1, 1, seed=10_000 + number)[0]
    return [_scan(f"probe/{number:05}", pictures.blank, number), one_face_scan(90_000 + number, vector)]


def probed(number: int) -> tuple[str, str]:
    """The scan that detect has to analyse, and the face that the clusterer has to assign."""
    return f"probe/{number:05}", f"face-{90_000 + number:04}"


def portions(count: int, seed: int, pictures: Pictures) -> list[Portion]:
    """So many portions. Those of a longer run do not begin as those of a shorter one."""
    return _Author(count, seed, pictures).portions()


class _Author:
    def __init__(self, count: int, seed: int, pictures: Pictures) -> None:
        self._count = count
        self._chance = random.Random(f"inputs {seed}")
        self._vectors = iter(_faces_of_people(count * _ANALYSES, seed))
        self._pictures = pictures
        self._watched = iter(pictures.watched)
        self._known = 0
        self._decisions = 0

    def portions(self) -> list[Portion]:
        return [self._portion(number) for number in range(self._count)]

    def _portion(self, number: int) -> Portion:
        portion = Portion()
        for vector in islice(self._vectors, _ANALYSES):
            kind = self._chance.random()
            if self._known and kind < 0.1:
                portion.messages.append(Tombstone(FACES, f"scan-{self._chance.randrange(self._known):04}"))
            elif self._known and kind < 0.25:
                portion.messages.append(one_face_scan(self._chance.randrange(self._known), vector))
            else:
                portion.messages.append(one_face_scan(self._known, vector))
                self._known += 1
        portion.messages += [self._decision() for _ in range(self._chance.randrange(4))]
        if number % _PHOTOGRAPHS_EVERY == 0:
            portion.messages.append(self._photograph())
            portion.watched = next(self._watched, None)
        return portion

    def _photograph(self) -> Message:
        """One that is published, published again, or withdrawn."""
        number = self._chance.randrange(len(self._pictures.referred))
        if self._chance.random() < 0.2:
            return Tombstone(SCANS, f"photograph/{number:02}")
        return _scan(f"photograph/{number:02}", self._pictures.referred[number], number)

    def _decision(self) -> Decision:
        self._decisions += 1
        made = {"decision_id": f"decision-{self._decisions:05}"}
        one, other = (f"face-{number:04}" for number in self._two_faces())
        label, other_label = self._chance.sample(_LABELS, 2)
        until = NOON + timedelta(days=3650)
        kinds: list[tuple[int, type[Decision], dict[str, object]]] = [
            (40, FaceNamed, {"face_id": one, "label_id": label, "name": label.title()}),
            (12, NameRejected, {"face_id": one, "label_id": label}),
            (5, NotSure, {"face_id": one, "label_id": label, "until": until}),
            (6, NotAFace, {"face_id": one}),
            (14, FacesLinked, {"face_id": one, "other_face_id": other}),
            (12, FacesSeparated, {"face_id": one, "other_face_id": other}),
            (3, PersonRenamed, {"label_id": label, "name": f"{label.title()} {self._decisions}"}),
            (1, PeopleMerged, {"label_id": label, "other_label_id": other_label}),
            (7, DecisionUndone, {"undone_decision_id": f"decision-{self._chance.randrange(self._decisions):05}"}),
        ]
        ((_, kind, what),) = self._chance.choices(kinds, [weight for weight, _, _ in kinds])
        return a_decision(kind, self._decisions, **made, **what)

    def _two_faces(self) -> tuple[int, int]:
        first, second = (self._chance.sample(range(self._known), 2)) if self._known > 1 else (0, 1)
        return first, second


def _faces_of_people(count: int, seed: int) -> np.ndarray:
    """Faces around real ones of different people, each about 0.3 from others of the same person."""
    generator = np.random.default_rng(seed)
    real = builtin_reference().banks[0]
    persons = generator.choice(len(real), size=min(max(count // _A_PERSON, 1), len(real)), replace=False)
    around = generator.normal(size=(count, real.shape[1])) * 0.019
    return np.asarray(real[generator.choice(persons, size=count)] + around, dtype=np.float32)


def _scan(scan_id: str, path: Path, second: int) -> ScanPublished:
    return ScanPublished(
        scan_id=scan_id,
        uri=path.resolve().as_uri(),
        sha256=hashlib.sha256(path.read_bytes()).hexdigest(),
        media_type="image/png",
        collection="chaos",
        published_at=NOON + timedelta(seconds=second),
        metadata={"date": str(1900 + second % 50)},
    )
