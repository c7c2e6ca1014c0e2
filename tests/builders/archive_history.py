"""Batches of records and decisions by chance, about a few faces that lie near each other."""

from __future__ import annotations

import random
from datetime import timedelta

from clustering.clustering import ClusteringInput, NeighboursWithdrawn
from decisions.holding import DecisionDeleted
from schemas.decisions import (
    Decision,
    DecisionUndone,
    FaceNamed,
    FacesLinked,
    FacesSeparated,
    NameRejected,
    NameTakenBack,
    NotAFace,
    PeopleMerged,
    PersonRemoved,
)
from schemas.neighbours import NeighboursFound
from tests.builders.clock import NOON
from tests.builders.decisions import a_decision
from tests.builders.neighbours import record

SCANS = 4
_FACES = [f"{scan}{letter}" for scan in range(SCANS) for letter in "abc"]
_LABELS = ["grace", "eileen", "marie"]
_DISTANCES = (0.5, 1.0, 1.0, 1.5, 2.0, 2.0, 3.0)


def found(rng: random.Random, scan: int, version: int = 0) -> NeighboursFound:
    """A scan whose faces lie near many others, so that there are clusters to decide on. Only its edges vary."""
    names = [f"{scan}{letter}" for letter in "abc"]
    edges = {name: [neighbour(rng) for _ in range(rng.choice([0, 1, 2, 2, 3]))] for name in names}
    blurred = names[scan : scan + 1 + version]
    return record(f"scan {scan}", version * SCANS + scan, edges, minute=(2 * scan + version) % 3, blurred=blurred)


def neighbour(rng: random.Random) -> tuple[str, int, float]:
    scan, version = rng.randrange(SCANS), rng.choice([0, 0, 0, 1])
    return f"{scan}{rng.choice('abc')}", version * SCANS + scan, rng.choice(_DISTANCES)


def random_decision(rng: random.Random, number: int) -> Decision:
    """About any faces, there or not; an undo of any other decision, made or not."""
    one, other = rng.sample(_FACES, 2)
    label = rng.choice(_LABELS)
    at = NOON + timedelta(minutes=rng.randrange(8))
    made: dict[str, object] = {"decision_id": f"{number:02}", "decided_at": at}
    chance = rng.random()
    if chance < 0.3:
        return a_decision(FaceNamed, 0, face_id=one, label_id=label, name=label, **made)
    if chance < 0.33:
        return a_decision(NameTakenBack, 0, face_id=one, **made)
    if chance < 0.4:
        return a_decision(NameRejected, 0, face_id=one, label_id=label, **made)
    if chance < 0.55:
        return a_decision(NotAFace, 0, face_id=one, **made)
    if chance < 0.6:
        return a_decision(PersonRemoved, 0, label_id=label, **made)
    if chance < 0.67:
        label, other_label = rng.sample(_LABELS, 2)
        return a_decision(PeopleMerged, 0, label_id=label, other_label_id=other_label, **made)
    if chance < 0.78:
        return a_decision(FacesLinked, 0, face_id=one, other_face_id=other, **made)
    if chance < 0.9:
        return a_decision(FacesSeparated, 0, face_id=one, other_face_id=other, **made)
    return a_decision(DecisionUndone, 0, undone_decision_id=f"{rng.randrange(20):02}", **made)


def random_batch(rng: random.Random, size: int) -> list[ClusteringInput]:
    """Decisions and their deletions, scans and their withdrawals."""
    return [_random_input(rng) for _ in range(size)]


def _random_input(rng: random.Random) -> ClusteringInput:
    chance = rng.random()
    if chance < 0.5:
        return random_decision(rng, rng.randrange(20))
    if chance < 0.55:
        return DecisionDeleted(f"{rng.randrange(20):02}")
    if chance < 0.6:
        return NeighboursWithdrawn(f"scan {rng.randrange(SCANS)}", 0)
    return found(rng, rng.randrange(SCANS), rng.choice([0, 0, 0, 1]))
