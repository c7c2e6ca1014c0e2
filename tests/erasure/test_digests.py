"""An erased face is recognised by keyed digests, where it is found again."""

from __future__ import annotations

import random

import pytest

from erasure.digests import KEY_BYTES, Digests, new_key
from schemas.scans import Box

DIGESTS = Digests(bytes(range(KEY_BYTES)))
SCAN = DIGESTS.scan("album/1.jpg")


def box(x: float, y: float, side: float) -> Box:
    """A square box around a middle."""
    return Box(left=x - side / 2, top=y - side / 2, right=x + side / 2, bottom=y + side / 2)


def is_recognised(erased: Box, found: Box, scan: str = SCAN) -> bool:
    return DIGESTS.place(SCAN, erased) in set(DIGESTS.places_around(scan, found))


def test_whatever_box_overlaps_by_half_is_recognised() -> None:
    chance = random.Random(1)
    compared = 0
    while compared < 300:
        erased = box(chance.uniform(0.1, 0.9), chance.uniform(0.1, 0.9), chance.uniform(0.01, 0.3))
        side = (erased.right - erased.left) * chance.uniform(0.72, 1.39)
        x, y = (erased.left + erased.right) / 2, (erased.top + erased.bottom) / 2
        found = box(x + chance.uniform(-0.3, 0.3) * side, y + chance.uniform(-0.3, 0.3) * side, side)
        if erased.overlap(found) >= 0.5:
            compared += 1
            assert is_recognised(erased, found)


def test_the_face_beside_it_and_one_of_another_size_are_not() -> None:
    erased = box(0.5, 0.5, 0.1)
    assert is_recognised(erased, erased)
    assert not is_recognised(erased, box(0.6, 0.5, 0.1))
    assert not is_recognised(erased, box(0.5, 0.6, 0.1))
    assert not is_recognised(erased, box(0.5, 0.5, 0.25))
    assert not is_recognised(erased, erased, DIGESTS.scan("album/2.jpg"))


def test_without_the_key_a_digest_is_another_one() -> None:
    others = Digests(new_key())
    assert others.key_id != DIGESTS.key_id
    assert others.face("a") != DIGESTS.face("a")
    assert others.place(others.scan("album/1.jpg"), box(0.5, 0.5, 0.1)) != DIGESTS.place(SCAN, box(0.5, 0.5, 0.1))


def test_texts_that_are_joined_are_not_mixed_up() -> None:
    assert DIGESTS.picture("ab", 1) != DIGESTS.picture("a", None)
    assert DIGESTS.face("a") != DIGESTS.decision("a")


def test_a_key_of_another_length_is_refused() -> None:
    with pytest.raises(ValueError, match="has 3 bytes, not 32"):
        Digests(b"abc")
