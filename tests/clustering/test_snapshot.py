"""A clustering is restored from the disk as it was, or the snapshot is refused with a reason."""

from __future__ import annotations

import errno
import random
from pathlib import Path

import pytest

from clustering import snapshot
from clustering.clustering import Clustering, Parameters
from clustering.what_if import hypothetical_clusters
from tests.builders.neighbours import Held, hold, record
from tests.builders.oracle import Subscriber, assert_as_expected, assigned
from tests.builders.random_archive import RandomArchive

PARAMETERS = Parameters(eps=2.0, min_samples=2)


def _grown(seed: int, steps: int) -> tuple[random.Random, RandomArchive, Clustering, Subscriber, Held]:
    rng = random.Random(seed)
    world = RandomArchive.drawn(rng)
    clustering, subscriber, held = Clustering(PARAMETERS), Subscriber(), Held()
    for _ in range(steps):
        batch = [world.record(rng) for _ in range(5)]
        subscriber.assert_follows(clustering.apply(batch))
        hold(held, batch)
    return rng, world, clustering, subscriber, held


@pytest.mark.parametrize("seed", range(12))
def test_a_restored_clustering_goes_on_as_the_saved_one_does(seed: int, tmp_path: Path) -> None:
    rng, world, clustering, subscriber, held = _grown(seed, steps=8)
    snapshot.save(clustering, tmp_path, 40)
    restored = snapshot.load(tmp_path, PARAMETERS)
    assert (restored.offset, restored.refused) == (40, ())
    assert assigned(restored.clustering) == assigned(clustering)
    for _ in range(8):
        batch = [world.record(rng) for _ in range(5)]
        delta = clustering.apply(batch)
        assert restored.clustering.apply(batch) == delta
        subscriber.assert_follows(delta)
        hold(held, batch)
        assert_as_expected(restored.clustering, subscriber, held)
    assert restored.clustering.sizes() == clustering.sizes()
    assert hypothetical_clusters(restored.clustering, 1.0).sizes() == hypothetical_clusters(clustering, 1.0).sizes()


def test_names_of_all_scripts_come_back(tmp_path: Path) -> None:
    clustering = Clustering(Parameters())
    clustering.apply([record("Õhtu/ülesvõte 1.tif", 0, {"näo-日本": [], "😀": []})])
    snapshot.save(clustering, tmp_path, 1)
    assert assigned(snapshot.load(tmp_path, Parameters()).clustering) == assigned(clustering)


def test_without_a_snapshot_it_starts_empty(tmp_path: Path) -> None:
    restored = snapshot.load(tmp_path / "none", PARAMETERS)
    assert (restored.clustering.sizes(), restored.offset, restored.refused) == ({}, 0, ())


def test_the_newest_two_are_kept(tmp_path: Path) -> None:
    clustering = Clustering(PARAMETERS)
    paths = [snapshot.save(clustering, tmp_path, offset) for offset in (9, 10, 200)]
    assert sorted(tmp_path.iterdir()) == paths[1:]


def test_a_damaged_snapshot_is_reported_and_the_one_before_it_is_used(tmp_path: Path) -> None:
    _, _, clustering, _, _ = _grown(3, steps=4)
    snapshot.save(clustering, tmp_path, 20)
    newest = snapshot.save(clustering, tmp_path, 30)
    whole = newest.read_bytes()
    for damaged in (whole[: len(whole) // 2], b"", _flipped(whole, len(whole) // 2), _flipped(whole, 200)):
        newest.write_bytes(damaged)
        restored = snapshot.load(tmp_path, PARAMETERS)
        assert restored.offset == 20
        assert assigned(restored.clustering) == assigned(clustering)
        (refused,) = restored.refused
        assert str(newest) in str(refused) and "damaged" in str(refused)


@pytest.mark.parametrize(("place", "value"), [(8, 1), (10, 99), (10, 8), (10, 12), (10, 14)])
def test_a_snapshot_whose_list_of_contents_is_damaged_is_reported(tmp_path: Path, place: int, value: int) -> None:
    """As encrypted, or compressed in another way: bytes 8 and 10 of an entry of the list (APPNOTE 4.3.12)."""
    path = snapshot.save(Clustering(PARAMETERS), tmp_path, 20)
    damaged = bytearray(path.read_bytes())
    damaged[damaged.index(b"PK\x01\x02") + place] = value
    path.write_bytes(damaged)
    (refused,) = snapshot.load(tmp_path, PARAMETERS).refused
    assert "damaged" in str(refused)


def test_a_snapshot_of_other_parameters_is_reported_and_not_used(tmp_path: Path) -> None:
    _, _, clustering, _, _ = _grown(3, steps=4)
    snapshot.save(clustering, tmp_path, 20)
    restored = snapshot.load(tmp_path, Parameters(eps=2.5, min_samples=2))
    assert (restored.clustering.sizes(), restored.offset) == ({}, 0)
    assert "it was written with eps 2.0, the setting is eps 2.5" in str(restored.refused[0])


def test_a_half_written_file_of_a_crash_does_no_harm(tmp_path: Path) -> None:
    (tmp_path / "writing.npz").write_bytes(b"half")
    assert snapshot.load(tmp_path, PARAMETERS).refused == ()
    snapshot.save(Clustering(PARAMETERS), tmp_path, 1)
    assert [path.name for path in tmp_path.iterdir()] == ["snapshot-00000000000000000001.npz"]


def _flipped(content: bytes, position: int) -> bytes:
    return content[:position] + bytes([content[position] ^ 0x55]) + content[position + 1 :]


def test_what_the_disk_does_not_take_is_an_error_and_its_space_is_given_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = snapshot.save(Clustering(PARAMETERS), tmp_path, 1)

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="No space left on device"):
        snapshot.save(Clustering(PARAMETERS), tmp_path, 2)
    assert list(tmp_path.iterdir()) == [kept]
