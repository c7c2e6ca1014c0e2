from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from queue import Queue
from time import monotonic

import pytest

from errors import UserError
from producers.watch import Settling, completed

Watch = Callable[[Path], "Queue[Path]"]


@pytest.fixture
def watching() -> Iterator[Watch]:
    """Starts watching a folder in a thread; complete files come out of the queue. It must end when it is stopped."""
    stop, threads = threading.Event(), []

    def start(folder: Path) -> Queue[Path]:
        found: Queue[Path] = Queue()

        def follow() -> None:
            for paths in completed(folder, stop, settle_s=0.4):
                for path in paths:
                    found.put(path)

        thread = threading.Thread(target=follow)
        thread.start()
        threads.append(thread)
        return found

    yield start
    stop.set()
    for thread in threads:
        thread.join(5)
        assert not thread.is_alive()


def test_what_is_in_the_folder_at_the_start_comes_first_and_sorted(tmp_path: Path, watching: Watch) -> None:
    (tmp_path / "below").mkdir()
    for name in ("b.jpg", "a.jpg", "below/c.png", "notes.txt", ".hidden.jpg"):
        (tmp_path / name).write_bytes(b"x")
    found = watching(tmp_path)
    assert [found.get(timeout=5) for _ in range(3)] == [
        tmp_path / "a.jpg",
        tmp_path / "b.jpg",
        tmp_path / "below" / "c.png",
    ]


def test_a_file_still_being_written_is_not_handed_on_half(tmp_path: Path, watching: Watch) -> None:
    (tmp_path / "first.jpg").write_bytes(b"x")
    found = watching(tmp_path)
    assert found.get(timeout=5).name == "first.jpg"
    started = monotonic()
    pause = threading.Event()
    with (tmp_path / "slow.jpg").open("wb") as file:
        while monotonic() - started < 1.5:
            file.write(b"x" * 1000)
            file.flush()
            assert found.empty()
            pause.wait(0.1)
    size = (tmp_path / "slow.jpg").stat().st_size
    assert found.get(timeout=5).stat().st_size == size
    assert monotonic() - started > 1.8


def test_files_come_from_new_folders_folders_moved_in_and_renamed_from_a_hidden_name(
    tmp_path: Path, watching: Watch
) -> None:
    box, outside = tmp_path / "box", tmp_path / "outside"
    box.mkdir()
    (outside / "deep").mkdir(parents=True)
    (outside / "deep" / "a.jpg").write_bytes(b"x")
    (box / "start.jpg").write_bytes(b"x")
    found = watching(box)
    assert found.get(timeout=5).name == "start.jpg"

    outside.rename(box / "moved")
    (box / "made" / "now").mkdir(parents=True)
    (box / "made" / "now" / "b.jpg").write_bytes(b"x")
    (box / ".c.jpg.part").write_bytes(b"x")
    (box / ".c.jpg.part").rename(box / "c.jpg")
    (box / "short.jpg").write_bytes(b"x")
    (box / "short.jpg").unlink()
    names = {str(found.get(timeout=5).relative_to(box)) for _ in range(3)}
    assert names == {"moved/deep/a.jpg", "made/now/b.jpg", "c.jpg"}


def test_a_file_written_again_comes_again(tmp_path: Path, watching: Watch) -> None:
    (tmp_path / "a.jpg").write_bytes(b"x")
    found = watching(tmp_path)
    assert found.get(timeout=5).name == "a.jpg"
    (tmp_path / "a.jpg").write_bytes(b"better")
    assert found.get(timeout=5).name == "a.jpg"


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="nothing: no such folder"):
        next(completed(tmp_path / "nothing", threading.Event()))


def test_a_folder_that_goes_away_is_an_error_and_not_silence(tmp_path: Path) -> None:
    folder = tmp_path / "box"
    folder.mkdir()
    (folder / "a.jpg").write_bytes(b"x")
    found = completed(folder, threading.Event(), settle_s=0.1)
    assert next(found) == [folder / "a.jpg"]
    (folder / "a.jpg").unlink()
    folder.rmdir()
    with pytest.raises(UserError, match="box: the watched folder was removed"):
        next(found)


def test_a_file_settles_when_neither_size_nor_time_has_changed_for_long_enough(tmp_path: Path) -> None:
    settling = Settling(settle_s=2)
    path = tmp_path / "a.jpg"
    path.write_bytes(b"x")
    settling.observe([path], time=10)
    assert settling.take_complete(11.9) == []
    path.write_bytes(b"xx")
    assert settling.take_complete(12.1) == []
    assert settling.take_complete(14.0) == []
    assert settling.take_complete(14.1) == [path]
    assert settling.take_complete(20) == []
