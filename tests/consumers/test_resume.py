"""Small files beside snapshots that are damaged: the snapshots are made again, and nothing ends."""

from __future__ import annotations

from pathlib import Path

import pytest

from consumers.erased import MARK, ClusterErasure
from consumers.resume import snapshot_folder, was_recreated
from erasure.digests import Digests, new_key
from errors import Fatal
from producers.erasure_plan import Plan, record_of
from schemas.erasures import ErasureState
from schemas.topics import FACES
from settings import Settings
from stream.erasures import Erasures
from stream.records import Positions
from stream.topics import ensure_topics
from tests.builders.clock import NOON
from tests.builders.kafka import publish

NO_TEXT = b"\xff\xfe\x00\x80"


@pytest.mark.parametrize("damage", [NO_TEXT, b""])
def test_where_it_is_not_known_of_which_topic_snapshots_are_they_are_deleted(settings: Settings, damage: bytes) -> None:
    ensure_topics(settings.kafka, [FACES])
    folder = snapshot_folder(settings, "index", FACES)
    (folder / "snapshot-1").write_bytes(b"old")
    assert snapshot_folder(settings, "index", FACES) == folder
    assert (folder / "snapshot-1").exists()
    assert not was_recreated(settings, "index", FACES)
    (folder / "topic").write_bytes(damage)
    assert was_recreated(settings, "index", FACES)
    assert snapshot_folder(settings, "index", FACES) == folder
    assert [path.name for path in folder.iterdir()] == ["topic"]
    assert not was_recreated(settings, "index", FACES)


def test_a_file_that_cannot_be_read_is_one_line(settings: Settings) -> None:
    ensure_topics(settings.kafka, [FACES])
    (settings.data / "snapshots" / "index" / "topic").mkdir(parents=True)
    for use in (was_recreated, snapshot_folder):
        with pytest.raises(Fatal, match=r"the folder of snapshots .* cannot be used: Is a directory"):
            use(settings, "index", FACES)


def test_where_the_mark_of_erasures_is_damaged_the_snapshots_are_written_again(
    settings: Settings, tmp_path: Path
) -> None:
    plan = Plan(erasure_id="e", begun_at=NOON, what="face")
    publish(settings.kafka, [record_of(plan, Digests(new_key()), ErasureState.SETTLED)])
    saved: list[Positions] = []
    with Erasures(settings.kafka) as erasures:
        erasure = ClusterErasure(erasures, tmp_path, saved.append)
        erasure.next({("neighbours", 0): 1})
        erasure.next({("neighbours", 0): 1})
        assert len(saved) == 1
        (tmp_path / MARK).write_bytes(NO_TEXT)
        erasure.next({("neighbours", 0): 1})
        erasure.next({("neighbours", 0): 1})
    assert len(saved) == 2
