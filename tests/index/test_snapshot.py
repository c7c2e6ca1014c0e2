"""A snapshot restores the index that was saved, or is refused."""

from __future__ import annotations

import errno
import hashlib
import json
from dataclasses import replace
from pathlib import Path

import hnswlib
import pytest

from errors import SnapshotRefused
from index.entries import Analysed, Withdrawn
from index.face_index import FaceIndex
from index.parameters import Parameters
from index.snapshot import load, save
from tests.builders.analyses import analysed, people, scans_of
from tests.builders.references import reference

EXACT = Parameters(shard=1, shards=2)
HNSW = replace(EXACT, exact_below=50, threads=1)
VECTORS = people(800, a_person=20)


def filled(parameters: Parameters) -> FaceIndex:
    index = FaceIndex(parameters)
    index.apply(scans_of(VECTORS[:600]))
    index.apply([Withdrawn(f"scan-{number}") for number in range(0, 60, 2)])
    return index


def later() -> list[Analysed | Withdrawn]:
    """What comes after the snapshot: new scans, some again, one withdrawn."""
    again = [analysed(1_000 + row, f"scan-{row}", VECTORS[600 + row, None]) for row in range(50)]
    new = [analysed(2_000 + row, f"new-{row}", VECTORS[650 + row, None]) for row in range(150)]
    return [*again, *new, Withdrawn("scan-200")]


@pytest.mark.parametrize("parameters", [EXACT, HNSW])
def test_a_restored_index_continues_as_the_one_that_was_saved(parameters: Parameters, tmp_path: Path) -> None:
    index = filled(parameters)
    save(index, tmp_path, offset=330)
    restored = load(tmp_path, parameters)
    assert (restored.offset, restored.refused) == (330, ())
    assert restored.index.faces == index.faces > 100
    assert restored.index.apply(later()) == index.apply(later())
    assert restored.index.store.used == index.store.used


def test_without_a_snapshot_there_is_an_empty_index_and_all_of_the_topic_to_read(tmp_path: Path) -> None:
    restored = load(tmp_path / "not there", EXACT)
    assert (restored.index.faces, restored.offset, restored.refused) == (0, 0, ())


def test_an_empty_index_can_be_saved(tmp_path: Path) -> None:
    save(FaceIndex(EXACT), tmp_path, offset=0)
    assert load(tmp_path, EXACT).index.apply(later())


def test_the_newest_two_are_kept(tmp_path: Path) -> None:
    index = filled(EXACT)
    for offset in (9, 10, 101, 100_000):
        save(index, tmp_path, offset)
    assert sorted(int(path.name.removeprefix("snapshot-")) for path in tmp_path.iterdir()) == [101, 100_000]
    assert load(tmp_path, EXACT).offset == 100_000


def test_what_a_process_left_that_was_killed_while_saving_is_skipped(tmp_path: Path) -> None:
    index = filled(EXACT)
    save(index, tmp_path, offset=1)
    half = tmp_path / ".writing"
    half.mkdir()
    (half / "vectors.npy").write_bytes(b"half")
    assert load(tmp_path, EXACT).offset == 1
    save(index, tmp_path, offset=2)
    assert not half.exists()
    assert load(tmp_path, EXACT).offset == 2


@pytest.mark.parametrize(
    "name", ["vectors.npy", "offsets.npy", "ids.json", "layout.npy", "graph.hnsw", "manifest.json"]
)
@pytest.mark.parametrize("damage", ["flipped", "cut", "gone"])
def test_a_damaged_snapshot_is_refused_and_the_one_before_it_used(name: str, damage: str, tmp_path: Path) -> None:
    parameters = replace(HNSW, reference=reference(VECTORS[600:700]))
    index = filled(parameters)
    save(index, tmp_path, offset=1)
    path = save(index, tmp_path, offset=2) / name
    whole = path.read_bytes()
    middle = len(whole) // 2
    if damage == "flipped":
        path.write_bytes(whole[:middle] + bytes([whole[middle] ^ 1]) + whole[middle + 1 :])
    elif damage == "cut":
        path.write_bytes(whole[:middle])
    else:
        path.unlink()
    restored = load(tmp_path, parameters)
    assert restored.offset == 1
    [refused] = restored.refused
    assert f"{2:020d} is damaged and is not used" in str(refused)
    assert name in str(refused)


def test_when_all_are_damaged_all_of_the_topic_is_to_be_read(tmp_path: Path) -> None:
    for offset in (1, 2):
        (save(filled(EXACT), tmp_path, offset) / "ids.json").write_text("{}")
    restored = load(tmp_path, EXACT)
    assert (restored.index.faces, restored.offset, len(restored.refused)) == (0, 0, 2)


def test_a_snapshot_saved_again_at_the_same_offset_replaces_a_damaged_one(tmp_path: Path) -> None:
    index = filled(EXACT)
    (save(index, tmp_path, offset=5) / "ids.json").unlink()
    save(index, tmp_path, offset=5)
    assert load(tmp_path, EXACT).offset == 5


def change_manifest(path: Path, **content: object) -> None:
    """Replace parts of a snapshot's manifest, with the right checksum."""
    manifest = json.loads((path / "manifest.json").read_text())
    manifest["said"] |= content
    manifest["sha256"] = hashlib.sha256(json.dumps(manifest["said"], sort_keys=True).encode()).hexdigest()
    (path / "manifest.json").write_text(json.dumps(manifest))


def test_a_snapshot_of_an_unknown_format_is_refused(tmp_path: Path) -> None:
    change_manifest(save(filled(EXACT), tmp_path, offset=5), format=99)
    [refused] = load(tmp_path, EXACT).refused
    assert str(refused).endswith("is not used: its format is 99, this version reads 1 and 2")


def of_format_1(path: Path) -> None:
    """Make a snapshot what it was in format 1: without offsets and layout, and with a graph of whole vectors."""
    content = json.loads((path / "manifest.json").read_text())["said"]
    for name in ("offsets.npy", "layout.npy"):
        (path / name).unlink()
        del content["files"][name]
    whole = hnswlib.Index("l2", 128)
    whole.init_index(max_elements=600, M=HNSW.m)
    whole.add_items(VECTORS[:600])
    whole.save_index(str(path / "graph.hnsw"))
    content["files"]["graph.hnsw"] = hashlib.sha256((path / "graph.hnsw").read_bytes()).hexdigest()
    change_manifest(path, **content | {"format": 1})


@pytest.mark.parametrize("older", [False, True])
def test_offsets_are_those_of_the_reference_also_from_a_snapshot_of_format_1(older: bool, tmp_path: Path) -> None:
    parameters = replace(HNSW, reference=reference(VECTORS[600:700]))
    index = filled(parameters)
    path = save(index, tmp_path, offset=330)
    if older:
        of_format_1(path)
    restored = load(tmp_path, parameters)
    assert restored.refused == ()
    slots = index.store.live_slots()
    assert restored.index.store.offsets[slots].tolist() == index.store.offsets[slots].tolist()
    assert (restored.index.hnsw is None) == older, "a graph of whole vectors is built again"
    assert restored.index.apply(later()) == index.apply(later())


def test_offsets_and_graph_by_another_reference_are_made_again(tmp_path: Path) -> None:
    index = filled(replace(HNSW, reference=reference(VECTORS[600:700])))
    save(index, tmp_path, offset=330)
    parameters = replace(HNSW, reference=reference(VECTORS[700:]), eps_max=1.0)
    slots = index.store.live_slots()
    expected = filled(parameters)
    restored = load(tmp_path, parameters).index
    assert restored.store.offsets[slots].tolist() == expected.store.offsets[slots].tolist()
    assert index.store.offsets[slots].tolist() != expected.store.offsets[slots].tolist()
    assert restored.hnsw is None, "its faces are set back by the offsets of before"
    assert restored.apply(later()) == expected.apply(later())


@pytest.mark.parametrize(
    ("other", "message"),
    [
        (replace(EXACT, shards=4), "made with shards 2, this index is started with shards 4"),
        (replace(EXACT, shard=0), "made with shard 1, this index is started with shard 0"),
        (replace(EXACT, eps_max=0.6), "made with eps_max 0.5, this index is started with eps_max 0.6"),
    ],
)
def test_a_snapshot_of_another_shard_or_eps_max_stops_the_start(
    other: Parameters, message: str, tmp_path: Path
) -> None:
    save(filled(EXACT), tmp_path, offset=5)
    with pytest.raises(SnapshotRefused, match=message):
        load(tmp_path, other)


def test_parameters_of_the_search_may_change_over_a_restart(tmp_path: Path) -> None:
    save(filled(EXACT), tmp_path, offset=5)
    restored = load(tmp_path, replace(HNSW, ef=128))
    restored.index.apply(later())
    assert restored.index.hnsw is not None


@pytest.mark.parametrize(
    ("other", "rebuilt"), [(HNSW, False), (replace(HNSW, m=8), True), (replace(HNSW, seed=1), True)]
)
def test_with_another_number_of_connections_or_seed_the_graph_is_rebuilt_from_the_vectors(
    other: Parameters, rebuilt: bool, tmp_path: Path
) -> None:
    save(filled(HNSW), tmp_path, offset=330)
    restored = load(tmp_path, other)
    assert (restored.offset, restored.refused) == (330, ())
    restored.index.apply([analysed(5_000, "new", VECTORS[700, None])])
    assert restored.index.hnsw is not None
    assert restored.index.hnsw.live == restored.index.faces
    # A graph that was kept has the nodes of what was withdrawn, too.
    assert (restored.index.hnsw.marked == 0) == rebuilt


def test_what_the_disk_does_not_take_is_an_error_and_its_space_is_given_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    index = filled(HNSW)
    save(index, tmp_path, offset=1)
    assert index.hnsw is not None
    with pytest.raises(OSError, match="No space left on device"):
        # hnswlib itself does not notice.
        index.hnsw.save(Path("/dev/full"))

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(index.hnsw, "save", full)
    with pytest.raises(OSError, match="No space left on device"):
        save(index, tmp_path, offset=330)
    assert [path.name for path in tmp_path.iterdir()] == [f"snapshot-{1:020d}"]
