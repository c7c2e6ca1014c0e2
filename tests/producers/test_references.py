"""Faces are taken out of a reference of any embedder."""

from __future__ import annotations

import numpy as np

from calibration.reference import Reference
from consumers.references import event_of, reference_from
from models.descriptions import Space
from producers.references import without
from schemas.references import FEWEST
from tests.builders.clock import NOON

OTHER = Space("net-0123456789abcdef", 512, 0.9, 1.2)
BANK = np.random.default_rng(5).normal(size=(FEWEST + 1, OTHER.dimension)).astype("<f4")
DRAWN = event_of(Reference((BANK,), 0.1, 0.5, 0.02, 400, 400, unit=2.0), NOON, OTHER)


def test_a_face_is_taken_out_of_a_reference_of_another_embedder() -> None:
    left = without(DRAWN, {BANK[3].tobytes()})
    assert left is not None
    assert np.array_equal(reference_from(left).banks[0], np.delete(BANK, 3, axis=0)), "it is what its name says"
    assert (left.embedder, left.dimension, left.unit) == (DRAWN.embedder, DRAWN.dimension, DRAWN.unit)


def test_a_reference_without_the_face_stays_as_it_is() -> None:
    assert without(DRAWN, {BANK[3, :128].tobytes()}) is DRAWN


def test_nothing_is_left_of_a_reference_with_too_few_faces() -> None:
    assert without(DRAWN, {row.tobytes() for row in BANK[:2]}) is None
