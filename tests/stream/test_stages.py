"""Which consumers there are: those of an index in shards in its place."""

from __future__ import annotations

from schemas.topics import FACES
from stream.generations import Generations
from stream.shards import shards_of
from stream.stages import STAGES, stages_with


def test_the_shards_of_an_index_are_in_its_place_in_their_order() -> None:
    shards = shards_of(["index-2-of-11", "catalogue", "index-green", "somebody"])
    assert shards == 11
    stages = stages_with(Generations(), shards)
    own = [f"index-{number}-of-11" for number in range(11)]
    assert list(stages) == ["detect", *own, "cluster", "catalogue"]
    assert stages["index-2-of-11"] == (FACES,)


def test_an_index_without_shards_is_one_consumer() -> None:
    assert shards_of(["detect", "index", "cluster"]) == 1
    assert stages_with(Generations(), 1) == STAGES


def test_before_the_first_index_no_number_of_shards_is_known() -> None:
    assert shards_of(["detect", "cluster"]) is None
