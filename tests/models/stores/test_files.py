"""Files: below the roots only, regular ones only, and a root that is gone is no missing file."""

from __future__ import annotations

import errno
import os
import socket
import threading
import time
from pathlib import Path

import pytest

from models.stores import files
from models.stores.deadline import Deadline, DeadlinePassed
from models.stores.errors import StoreUnavailable, UnavailableImage, UnknownStore
from models.stores.parameters import StoreParameters
from models.stores.roots import Roots, remember
from models.stores.stores import Stores


@pytest.fixture
def scans(tmp_path: Path) -> Path:
    folder = tmp_path / "scans"
    folder.mkdir()
    (folder / "a.jpg").write_bytes(b"scan")
    return folder


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    path = tmp_path / "secret.txt"
    path.write_bytes(b"secret")
    return path


def stores(*roots: Path, max_bytes: int = 1000) -> Stores:
    return Stores(StoreParameters(roots=roots, max_bytes=max_bytes, deadline_s=5))


def test_a_damaged_line_in_the_file_of_roots_takes_no_other_root_away(scans: Path, tmp_path: Path) -> None:
    file = tmp_path / "roots.jsonl"
    file.write_bytes(b'{"root": "file:///\xff\x80\n')
    remember(file, [scans])
    assert scans in Roots((), file).known()


def test_a_file_below_a_root_is_read_and_no_other(scans: Path, secret: Path) -> None:
    assert stores(scans).fetch((scans / "a.jpg").as_uri()) == b"scan"
    for uri in (
        secret.as_uri(),
        f"{scans.as_uri()}/../secret.txt",
        f"{scans.as_uri()}/%2e%2e/secret.txt",
        f"{scans.as_uri()}/..%2Fsecret.txt",
        "file:///etc/passwd",
        scans.parent.as_uri() + "/scans2/a.jpg",
    ):
        with pytest.raises(UnavailableImage, match="outside of the folders that may be read: allow its folder"):
            stores(scans).fetch(uri)


@pytest.mark.parametrize("uri", ["file://host/a.jpg", "file:///a.jpg?x=1", "file:///a#b.jpg", "file:///a%00.jpg"])
def test_a_file_uri_that_is_not_one_is_refused(scans: Path, uri: str) -> None:
    with pytest.raises(UnavailableImage):
        stores(scans).fetch(uri)


def test_a_name_is_decoded_byte_for_byte(scans: Path) -> None:
    path = scans / os.fsdecode(b"\xf5 #%[1].jpg")
    path.write_bytes(b"old")
    assert stores(scans).fetch(path.as_uri()) == b"old"


def test_a_link_is_followed_within_the_roots_only(scans: Path, secret: Path, tmp_path: Path) -> None:
    (scans / "inside.jpg").symlink_to(scans / "a.jpg")
    (scans / "out.jpg").symlink_to(secret)
    (scans / "folder").symlink_to(tmp_path)
    assert stores(scans).fetch((scans / "inside.jpg").as_uri()) == b"scan"
    for name in ("out.jpg", "folder/secret.txt"):
        with pytest.raises(UnavailableImage, match="is a link out of the folders that may be read"):
            stores(scans).fetch(f"{scans.as_uri()}/{name}")
    assert stores(scans, tmp_path).fetch((scans / "out.jpg").as_uri()) == b"secret"


def test_a_root_may_be_a_link_itself(scans: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(scans)
    assert stores(tmp_path / "link").fetch((tmp_path / "link" / "a.jpg").as_uri()) == b"scan"


def test_a_link_that_is_put_there_while_a_file_is_opened_is_not_followed(scans: Path, secret: Path) -> None:
    (scans / "now.jpg").symlink_to(secret)
    with (
        pytest.raises(UnavailableImage, match="is a link, only files are read"),
        files._opened("file:///now.jpg", scans, Path("now.jpg")),
    ):
        pass


def test_what_is_no_file_is_not_opened(scans: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    os.mkfifo(scans / "pipe.jpg")
    (scans / "folder.jpg").mkdir()
    with socket.socket(socket.AF_UNIX) as listening:
        # A socket's path may have a hundred characters only; side by side, tests have longer ones.
        monkeypatch.chdir(scans)
        listening.bind("socket.jpg")
        started = time.monotonic()
        for name, kind in (("pipe", "a pipe"), ("folder", "a folder"), ("socket", "a socket")):
            with pytest.raises(UnavailableImage, match=f"is {kind}, only files are read"):
                stores(scans).fetch((scans / f"{name}.jpg").as_uri())
        assert time.monotonic() - started < 2
    with pytest.raises(UnavailableImage, match="is a device, only files are read"):
        stores(Path("/dev")).fetch("file:///dev/zero")


def test_a_large_file_is_refused_by_its_size_and_one_that_grows_while_it_is_read(scans: Path) -> None:
    (scans / "large.jpg").write_bytes(b"x" * 1001)
    with pytest.raises(UnavailableImage, match=r"has 1,001 bytes, at most 1,000 are read .*MAX_BYTES"):
        stores(scans).fetch((scans / "large.jpg").as_uri())
    descriptor = os.open(scans / "large.jpg", os.O_RDONLY)
    try:
        with pytest.raises(UnavailableImage, match="is larger than is read"):
            files._read("file:///x", descriptor, 1000, Deadline(5))
    finally:
        os.close(descriptor)


def test_a_missing_file_is_missing_and_a_missing_root_is_an_outage(scans: Path) -> None:
    reader = stores(scans)
    with pytest.raises(UnavailableImage, match="nothing is at file://"):
        reader.fetch((scans / "gone.jpg").as_uri())
    with pytest.raises(UnavailableImage, match="nothing is at file://"):
        reader.fetch((scans / "a.jpg" / "b.jpg").as_uri())
    scans.rename(scans.with_name("elsewhere"))
    with pytest.raises(StoreUnavailable, match="is not there") as caught:
        reader.fetch((scans / "a.jpg").as_uri())
    assert (caught.value.store, caught.value.cause) == (str(scans), "store")
    # An empty mount point.
    scans.mkdir()
    with pytest.raises(StoreUnavailable, match="the folder is empty, as where a drive is not mounted"):
        reader.fetch((scans / "a.jpg").as_uri())


@pytest.mark.skipif(os.getuid() == 0, reason="root may read everything")
def test_a_file_without_permission_is_refused(scans: Path) -> None:
    (scans / "a.jpg").chmod(0)
    with pytest.raises(UnavailableImage, match="must not be read by this user"):
        stores(scans).fetch((scans / "a.jpg").as_uri())


def test_a_root_that_refuses_everything_is_an_outage(scans: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As a network drive does when its login has expired. Simulated, since root may read everything."""

    def refused(*_: object, **__: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr("models.stores.files.os.open", refused)
    with pytest.raises(UnavailableImage, match="must not be read by this user"):
        stores(scans).fetch((scans / "a.jpg").as_uri())
    monkeypatch.setattr("models.stores.files.os.scandir", refused)
    with pytest.raises(StoreUnavailable, match=r"cannot be read \(Permission denied\)"):
        stores(scans).fetch((scans / "a.jpg").as_uri())


def test_ingested_folders_are_remembered_and_seen_by_who_runs_already(scans: Path, tmp_path: Path) -> None:
    file = tmp_path / "data" / "roots.jsonl"
    reader = Stores(StoreParameters(roots_file=file))
    with pytest.raises(StoreUnavailable, match="no folder may be read yet: set FACESTREAM_STORES__ROOTS"):
        reader.fetch((scans / "a.jpg").as_uri())
    remember(file, [scans])
    remember(file, [scans, scans / os.fsdecode(b"\xf5\n")])
    assert reader.fetch((scans / "a.jpg").as_uri()) == b"scan"
    assert len(file.read_text().splitlines()) == 2
    assert reader.store_of((scans / "a.jpg").as_uri()) == str(scans)
    with file.open("a") as appended:
        appended.write('{"root": "file:///cut o')
    assert set(Roots((), file).known()) == {scans, scans / os.fsdecode(b"\xf5\n")}


def test_a_single_file_may_be_a_root(scans: Path, secret: Path, tmp_path: Path) -> None:
    remember(tmp_path / "roots", [secret])
    reader = Stores(StoreParameters(roots_file=tmp_path / "roots"))
    assert reader.fetch(secret.as_uri()) == b"secret"
    with pytest.raises(UnavailableImage, match="outside"):
        reader.fetch((scans / "a.jpg").as_uri())
    secret.unlink()
    with pytest.raises(UnavailableImage, match="nothing is at"):
        reader.fetch(secret.as_uri())


def test_a_drive_that_was_mounted_and_is_not_any_more_is_an_outage(
    scans: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = os.path.ismount
    monkeypatch.setattr(os.path, "ismount", lambda path: Path(path) == tmp_path or real(path))
    remember(tmp_path / "roots", [scans])
    monkeypatch.undo()
    reader = Stores(StoreParameters(roots_file=tmp_path / "roots"))
    assert reader.fetch((scans / "a.jpg").as_uri()) == b"scan"
    with pytest.raises(StoreUnavailable, match="is not mounted"):
        reader.fetch((scans / "b.jpg").as_uri())


def test_a_drive_that_hangs_is_left_at_the_deadline_and_then_left_alone(
    scans: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """os.open stands for what the system does not return from."""
    hangs = threading.Event()

    def hanging(*_: object, **__: object) -> int:
        # No descriptor is returned: the thread that was left behind would close it, whatever it is by then.
        hangs.wait(30)
        raise OSError(errno.EIO, "the drive is gone")

    monkeypatch.setattr("models.stores.files.os.open", hanging)
    reader = Stores(StoreParameters(roots=(scans,), deadline_s=0.1))
    for _ in range(4):
        with pytest.raises(StoreUnavailable, match=r"no answer within 0\.1 s"):
            reader.fetch((scans / "a.jpg").as_uri())
    with pytest.raises(StoreUnavailable, match="it hangs"):
        reader.fetch((scans / "a.jpg").as_uri())
    hangs.set()


@pytest.mark.parametrize(
    "uri",
    [
        "webhdfs://host/a.jpg",
        "ftp://host/a.jpg",
        "github://owner:repository@main/a.jpg",
        "zip://a.jpg::file:///scans/b.zip",
        "reference://a::/etc/passwd",
        "filecache::https://host/a.jpg",
        "memory://a.jpg",
        "local:///etc/passwd",
        "data:image/png;base64,AAAA",
        "/etc/passwd",
        "a.jpg",
        "",
    ],
)
def test_a_scheme_that_is_not_allowed_is_refused_at_once(uri: str) -> None:
    started = time.monotonic()
    with pytest.raises(UnknownStore):
        Stores(StoreParameters()).fetch(uri)
    assert time.monotonic() - started < 1


def test_a_chain_is_refused_even_where_its_scheme_is_allowed() -> None:
    with pytest.raises(UnknownStore, match="a chain of uris, which is never read"):
        Stores(StoreParameters(schemes=("zip", "file"))).fetch("zip://a.jpg::/scans/b.zip")


def test_a_scheme_that_is_allowed_is_read_through_fsspec_within_the_limits() -> None:
    import fsspec

    fsspec.filesystem("memory").pipe("/box/a[1].png", b"x" * 1000)
    allowed = StoreParameters(schemes=("memory", "gs"), max_bytes=1000)
    assert Stores(allowed).fetch("memory://box/a[1].png") == b"x" * 1000
    with pytest.raises(UnavailableImage, match="nothing is at"):
        Stores(allowed).fetch("memory://box/b.png")
    with pytest.raises(UnavailableImage, match="larger than is read, at most 999 are read"):
        Stores(StoreParameters(schemes=("memory",), max_bytes=999)).fetch("memory://box/a[1].png")
    with pytest.raises(UnknownStore, match=r"scans of gs:// need a driver: .*gcsfs"):
        Stores(allowed).fetch("gs://bucket/a.png")


def test_a_deadline_that_has_passed_stops_reading(scans: Path) -> None:
    descriptor = os.open(scans / "a.jpg", os.O_RDONLY)
    try:
        with pytest.raises(DeadlinePassed):
            files._read("file:///x", descriptor, 1000, Deadline(0))
    finally:
        os.close(descriptor)


@pytest.mark.parametrize("length", [3_000, 12_000, 1_000_000])
def test_a_path_that_is_too_long_is_refused_before_it_is_gone_through(scans: Path, length: int) -> None:
    reader = stores(scans)
    uri = f"{scans.as_uri()}/" + "a/" * (length // 2) + "b.jpg?token=secret"
    reader.store_of(uri)
    with pytest.raises(UnavailableImage) as caught:
        reader.fetch(uri.partition("?")[0] if length < 10_000 else uri)
    assert "secret" not in str(caught.value)
    if length > 16_384:
        assert "characters, at most 16,384 are read" in str(caught.value)
        assert len(str(caught.value)) < 500
