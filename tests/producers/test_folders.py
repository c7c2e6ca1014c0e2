"""What is found in folders, what is skipped, and what cannot be read."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from pathlib import Path, PurePosixPath

import pytest

from errors import UserError
from producers.files import list_sources
from producers.folders import (
    Excluded,
    SkipKind,
    Skipped,
    Unreadable,
    counted_by_kind,
    find_images,
    is_skipped,
    printable,
)


def write(folder: Path, *names: str) -> None:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")


def images_of(folder: Path, *excluded: str) -> list[str]:
    return [path.relative_to(folder).as_posix() for path in find_images(folder, Excluded(excluded)).images]


@pytest.mark.parametrize(
    "name",
    ["@eaDir", "#recycle", "$RECYCLE.BIN", "$Recycle.Bin", ".Trash-1000", ".Trashes", "lost+found", "__MACOSX"],
)
def test_folders_of_network_drives_and_systems_are_skipped_at_any_depth_and_counted(tmp_path: Path, name: str) -> None:
    write(tmp_path, "a.jpg", f"{name}/b.jpg", f"box/{name}/deep/c.jpg", f"box/x{name}/d.jpg")
    found = find_images(tmp_path)
    assert images_of(tmp_path) == ["a.jpg", f"box/x{name}/d.jpg"]
    assert counted_by_kind(found.skipped) == {SkipKind.SYSTEM: 2}
    assert Skipped(str(tmp_path / name), SkipKind.SYSTEM) in found.skipped


def test_a_file_with_such_a_name_and_such_a_folder_named_itself_are_not_skipped(tmp_path: Path) -> None:
    write(tmp_path, "lost+found/a.jpg")
    assert images_of(tmp_path / "lost+found") == ["a.jpg"]


def test_skipped_files_are_counted_by_kind(tmp_path: Path) -> None:
    write(tmp_path, "a.jpg", "b.txt", "c.doc", ".d.jpg", ".e/f.jpg", "drafts/g.jpg")
    os.mkfifo(tmp_path / "pipe.png")
    (tmp_path / "self").symlink_to(tmp_path)
    assert counted_by_kind(find_images(tmp_path, Excluded(("drafts",))).skipped) == {
        SkipKind.OTHER: 2,
        SkipKind.HIDDEN: 2,
        SkipKind.EXCLUDED: 1,
        SkipKind.SPECIAL: 1,
        SkipKind.TWICE: 1,
    }


@pytest.mark.parametrize(
    ("pattern", "left"),
    [
        ("*_thumb.jpg", ["a.jpg", "box/a.jpg", "box/drafts/a.jpg", "drafts/a.jpg"]),
        ("drafts", ["a.jpg", "a_thumb.jpg", "box/a.jpg"]),
        ("drafts/", ["a.jpg", "a_thumb.jpg", "box/a.jpg"]),
        ("box/drafts", ["a.jpg", "a_thumb.jpg", "box/a.jpg", "drafts/a.jpg"]),
        ("/drafts", ["a.jpg", "a_thumb.jpg", "box/a.jpg", "box/drafts/a.jpg"]),
        ("*/a.jpg", ["a.jpg", "a_thumb.jpg"]),
        ("a.jpg/", ["a.jpg", "a_thumb.jpg", "box/a.jpg", "box/drafts/a.jpg", "drafts/a.jpg"]),
        ("[ab].jpg", ["a_thumb.jpg"]),
    ],
)
def test_a_pattern_excludes_names_and_with_a_slash_paths(tmp_path: Path, pattern: str, left: list[str]) -> None:
    write(tmp_path, "a.jpg", "a_thumb.jpg", "box/a.jpg", "drafts/a.jpg", "box/drafts/a.jpg")
    assert images_of(tmp_path, pattern) == left


@pytest.mark.parametrize("pattern", ["", "/"])
def test_an_empty_pattern_is_refused(pattern: str) -> None:
    with pytest.raises(UserError, match="--exclude: a pattern for names is needed"):
        Excluded((pattern,))


def test_a_changed_file_is_judged_as_in_a_listing() -> None:
    excluded = Excluded(("drafts",))
    skipped = ["@eaDir/a.jpg", "box/@eaDir/deep/a.jpg", ".a.jpg", ".box/a.jpg", "drafts/a.jpg", "box/drafts/x/a.jpg"]
    assert [path for path in skipped if not is_skipped(PurePosixPath(path), excluded)] == []
    assert not is_skipped(PurePosixPath("box/a.jpg"), excluded)
    assert not is_skipped(PurePosixPath("box/@eaDir"), excluded)


def test_a_folder_that_cannot_be_read_is_reported_and_the_rest_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path, "a.jpg", "locked/b.jpg", "broken/c.jpg", "vanished/d.jpg", "z/e.jpg")
    errors = {"locked": errno.EACCES, "broken": errno.EIO, "vanished": errno.ENOENT}
    scandir = os.scandir

    def failing(path: str | Path) -> object:
        number = errors.get(Path(path).name)
        if number is not None:
            raise OSError(number, os.strerror(number), str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", failing)
    listing = list_sources([tmp_path])
    assert [source.scan_id.partition("/")[2] for source in listing.sources] == ["a.jpg", "z/e.jpg"]
    assert listing.unreadable == (
        Unreadable(str(tmp_path / "broken"), "Input/output error"),
        Unreadable(str(tmp_path / "locked"), "Permission denied"),
    )
    with pytest.raises(UserError, match="locked: the folder cannot be read"):
        list_sources([tmp_path / "locked"])


def test_permissions_of_the_system_end_nothing(tmp_path: Path) -> None:
    """As a user who may not read everything: root may, so it gives that up first."""
    write(tmp_path, "a.jpg", "locked/b.jpg", "listed/c.jpg")
    (tmp_path / "locked").chmod(0o000)
    (tmp_path / "listed").chmod(0o400)
    code = (
        "import sys; from producers.files import list_sources; listing = list_sources(sys.argv[1:]);"
        "print([source.scan_id for source in listing.sources], [one.reason for one in listing.unreadable])"
    )
    without = ["setpriv", "--bounding-set=-dac_override,-dac_read_search"] if os.geteuid() == 0 else []
    command = [*without, sys.executable, "-c", code, str(tmp_path)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=Path(__file__).parents[2])
    except FileNotFoundError:
        pytest.skip("no setpriv")
    finally:
        (tmp_path / "locked").chmod(0o700)
        (tmp_path / "listed").chmod(0o700)
    name = tmp_path.name
    # What is listed but cannot be looked at is published, and reported when it is read.
    assert done.stdout == f"['{name}/a.jpg', '{name}/listed/c.jpg'] ['Permission denied']\n", done.stderr


def test_a_file_whose_name_is_too_long_for_an_id_is_reported_and_the_rest_goes_on(tmp_path: Path) -> None:
    deep = "/".join(["d" * 200] * 6)
    write(tmp_path, "a.jpg", f"{deep}/b.jpg")
    listing = list_sources([tmp_path])
    assert [source.uri for source in listing.sources] == [(tmp_path / "a.jpg").as_uri()]
    (unreadable,) = listing.unreadable
    assert unreadable.path == str(tmp_path / deep / "b.jpg")
    assert unreadable.reason.startswith("its scan id would have 12")


def test_links_to_themselves_and_to_nothing_end_nothing(tmp_path: Path) -> None:
    write(tmp_path, "a.jpg")
    (tmp_path / "loop.jpg").symlink_to(tmp_path / "loop.jpg")
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    (tmp_path / "nothing.jpg").symlink_to(tmp_path / "nowhere")
    assert images_of(tmp_path) == ["a.jpg", "loop.jpg", "nothing.jpg"]


def test_a_path_is_printed_on_one_line_whatever_its_bytes_are(tmp_path: Path) -> None:
    assert printable(os.fsdecode(b"\xf5htu/new\nline\x1b[31m \xc3\xb5")) == "\\xf5htu/new\\nline\\x1b[31m õ"
    with pytest.raises(UserError, match=r"no such file or folder") as raised:
        list_sources([tmp_path / "new\nline"])
    assert "\n" not in str(raised.value)
