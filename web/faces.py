"""Faces as the pages show them: labels as decided by now, what the page believes of them, and who they may be.

The tables follow decisions by a moment, so what is decided is read from the decisions and all else from the tables.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from heapq import nlargest
from itertools import islice

from psycopg import Connection

from catalogue import suggestions
from catalogue.browse import Tile
from catalogue.suggestions import NearName
from decisions.beliefs import face_belief, person_belief
from decisions.holding import Decisions
from decisions.identities import Person
from schemas.decisions import FaceNamed
from web.strings import Words

PROPOSALS = 5
"""As many as there are keys for."""

# Namings that are looked through for the people named lately, and decisions of everybody for those namings.
_RECENT = 60
_LOOKED_THROUGH = 2_000


@dataclass(frozen=True)
class Proposal:
    """A person whom a face may be, and why."""

    label_id: str
    name: str
    reason: str


def as_decided(decisions: Decisions, tiles: Iterable[Tile]) -> list[Tile]:
    """The faces with their hard labels as decided by now, without those that are decided to be none."""
    return list(_as_decided(decisions, tiles))


def _as_decided(decisions: Decisions, tiles: Iterable[Tile]) -> Iterator[Tile]:
    for tile in tiles:
        labels = decisions.labels(tile.face_id)
        if labels.not_a_face:
            continue
        rejected = tile.soft_label is not None and decisions.person_of(tile.soft_label) in labels.rejected
        if labels.hard is not None or rejected:
            yield replace(tile, label_id=labels.hard, soft_label=None, probability=None)
        else:
            yield replace(tile, label_id=None)


def face_as_believed(decisions: Decisions, face_id: str) -> str:
    """What a form carries of a face: JSON."""
    return face_belief(decisions, face_id).model_dump_json()


def person_as_believed(decisions: Decisions, label_id: str) -> str:
    """What a form carries of a person: JSON."""
    return person_belief(decisions, label_id).model_dump_json()


def last_decision(decisions: Decisions, face_id: str) -> str:
    """The id of the latest decision about a face, undos included; empty where there is none."""
    return face_belief(decisions, face_id).decision_id or ""


def proposals(connection: Connection, decisions: Decisions, face_id: str, radius: float, t: Words) -> list[Proposal]:
    """The likeliest people for a face, best first; those that are rejected for it are left out."""
    labels = decisions.labels(face_id)
    near = suggestions.names_near(connection, face_id, radius)
    found: dict[str, Proposal] = {}
    for name in near:
        person = decisions.person(name.label_id)
        if person is None or person.label_id in labels.rejected or person.label_id == labels.hard:
            continue
        found.setdefault(person.label_id, Proposal(person.label_id, person.name, _reason(name, t)))
    return list(found.values())[:PROPOSALS]


def named_lately(decisions: Decisions, author: str, without: Sequence[str], limit: int) -> list[Person]:
    """The people whom an author named among the last decisions, latest first; those in `without` are left out."""
    newest = islice(decisions.newest(), _LOOKED_THROUGH)
    namings = (it for it in newest if isinstance(it, FaceNamed) and it.author == author)
    latest = nlargest(_RECENT, namings, key=lambda naming: naming.order)
    people = (decisions.person(naming.label_id) for naming in latest)
    known = {person.label_id: person for person in people if person is not None and person.label_id not in without}
    return list(known.values())[:limit]


def _reason(name: NearName, t: Words) -> str:
    from web.render import percent

    if name.probability is not None:
        return t.text("in-cluster", probability=percent(name.probability))
    if name.nearest_hard is not None:
        return t.text("looks-like", distance=f"{name.nearest_hard:.2f}")
    return t.text("near-soft", distance=f"{name.nearest_soft or 0:.2f}")
