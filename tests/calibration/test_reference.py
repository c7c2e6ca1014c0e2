"""Offsets and the calibrated distance."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.distance import cdist

from calibration.builtin import builtin_reference
from calibration.reference import STRANGERS, STRANGERS_AT, Reference, calibrated
from tests.builders.analyses import people
from tests.builders.references import reference


def test_an_offset_is_the_mean_of_the_second_to_sixth_nearest_of_each_bank_and_the_level() -> None:
    faces, one, other = people(40, 4), people(50, 1, seed=1), people(30, 1, seed=2)
    nearest = [np.sort(cdist(faces, bank), axis=1)[:, 1:6].mean(axis=1) for bank in (one, other)]
    offsets = reference(one, other, level=-0.02).offsets(faces)
    assert offsets == pytest.approx(np.mean(nearest, axis=0) - 0.02 - STRANGERS_AT, abs=1e-7)


def test_an_offset_is_the_same_to_the_last_bit_whatever_else_is_in_the_batch() -> None:
    faces, drawn = people(3_000, 5), reference(people(640, 1, seed=1), people(640, 1, seed=2))
    together = drawn.offsets(faces)
    for start, size in ((0, 1), (7, 2), (1_000, 100), (1_023, 1_500)):
        assert (drawn.offsets(faces[start : start + size]) == together[start : start + size]).all()


def test_offsets_beyond_the_largest_count_as_the_largest() -> None:
    drawn = reference(people(50, 1), largest_offset=0.3)
    far = np.full((1, 128), 9.0, dtype=np.float32)
    assert drawn.offsets(far).tolist() == [drawn.largest]
    assert drawn.largest == pytest.approx(0.3 - STRANGERS_AT)


def test_the_distance_is_symmetric_and_never_negative() -> None:
    euclidean, one, other = np.array([0.5, 0.0]), np.array([0.1, 0.2]), np.array([-0.05, 0.3])
    assert calibrated(euclidean, one, other).tolist() == calibrated(euclidean, other, one).tolist()
    assert calibrated(euclidean, one, other).tolist() == pytest.approx([0.475, 0.0])


def test_the_name_says_what_distances_depend_on() -> None:
    banks = people(50, 1), people(50, 1, seed=1)
    drawn = reference(*banks)
    assert drawn.name == reference(*banks).name
    others = [
        reference(*banks[::-1]),
        reference(banks[0]),
        reference(*banks, level=0.1),
        reference(*banks, largest_offset=1),
    ]
    assert len({drawn.name, *(it.name for it in others)}) == 5


def test_the_share_of_strangers_falls_with_the_slope() -> None:
    drawn = reference(people(50, 1))
    assert drawn.strangers_within(STRANGERS_AT) == STRANGERS
    assert drawn.strangers_within(STRANGERS_AT - 0.02) == pytest.approx(STRANGERS / np.e)


def test_the_built_in_reference_is_small_and_whole() -> None:
    builtin: Reference = builtin_reference()
    assert [bank.shape for bank in builtin.banks] == [(320, 128)] * 2
    assert np.isfinite(builtin.offsets(people(10, 1))).all()
    assert builtin.level < -0.1
