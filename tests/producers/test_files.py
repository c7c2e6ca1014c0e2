from __future__ import annotations

import hashlib
import os
from pathlib import Path
from urllib.parse import unquote

import fsspec
import pytest
from PIL import Image

from errors import UserError
from producers.files import UNREADABLE_SHA256, list_sources, scans_of
from producers.places import holds, why_unreadable
from schemas.scans import ScanPublished
from tests.builders.clock import NOON
from tests.builders.stores import fetch_anywhere


def image(path: Path, shade: int = 90, pages: int = 1) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    first, *others = [Image.new("L", (20, 16), shade + number) for number in range(pages)]
    if others:
        first.save(path, save_all=True, append_images=others)
    else:
        first.save(path)
    return path


def scans(*paths: Path | str, collection: str | None = None) -> list[ScanPublished]:
    listing = list_sources(paths, collection)
    return [scan for source in listing.sources for scan in scans_of(source, lambda: NOON, fetch_anywhere)]


def test_a_folder_gives_its_images_of_all_kinds_sorted_and_counts_the_rest(tmp_path: Path) -> None:
    folder = tmp_path / "box 7"
    for name in ("b/2.JPG", "a.png", "b/1.tif", "c.jp2", "d.webp", "e.jpeg", "f.TIFF", "g.j2k", "h.jpx"):
        image(folder / name.lower()).rename(folder / name)
    for name in ("notes.txt", "b/points.tsv", ".hidden.jpg", ".git/x.jpg"):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text("not a scan")
    listing = list_sources([folder])
    names = ["a.png", "b/1.tif", "b/2.JPG", "c.jp2", "d.webp", "e.jpeg", "f.TIFF", "g.j2k", "h.jpx"]
    assert [source.scan_id for source in listing.sources] == [f"box 7/{name}" for name in names]
    assert {source.collection for source in listing.sources} == {"box 7"}
    assert listing.skipped == 2
    types = [scan.media_type for source in listing.sources for scan in scans_of(source, lambda: NOON, fetch_anywhere)]
    assert types[:3] == ["image/png", "image/tiff", "image/jpeg"]
    assert types[4] == "image/webp"


def test_a_scan_says_where_its_bytes_are_and_what_they_are(tmp_path: Path) -> None:
    path = image(tmp_path / "õhtu #1 100%?.jpg")
    (scan,) = scans(tmp_path, collection="fotod")
    assert scan == ScanPublished(
        scan_id="fotod/õhtu #1 100%?.jpg",
        uri=path.as_uri(),
        sha256=hashlib.sha256(path.read_bytes()).hexdigest(),
        media_type="image/jpeg",
        collection="fotod",
        published_at=NOON,
    )
    assert "%23" in scan.uri
    assert unquote(scan.uri) == f"file://{path}"


def test_a_relative_path_and_an_absolute_one_give_the_same_scans(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    image(tmp_path / "box" / "a.jpg")
    monkeypatch.chdir(tmp_path / "box")
    assert scans(".") == scans(tmp_path / "box") == scans("../box/")


def test_a_single_file_is_in_the_collection_of_its_folder(tmp_path: Path) -> None:
    path = image(tmp_path / "box" / "a.jpg")
    assert scans(path) == scans(path.parent)


def test_each_page_of_a_multi_page_tiff_is_a_scan(tmp_path: Path) -> None:
    image(tmp_path / "box" / "many.tif", pages=3)
    image(tmp_path / "box" / "one.tif")
    ids_and_pages = [(scan.scan_id, scan.page) for scan in scans(tmp_path / "box")]
    assert ids_and_pages == [
        ("box/many.tif#page=1", 1),
        ("box/many.tif#page=2", 2),
        ("box/many.tif#page=3", 3),
        ("box/one.tif", None),
    ]


@pytest.mark.parametrize("content", [b"", b"not an image at all", b"\xff\xd8\xff\xe0 cut off"])
def test_a_broken_or_mislabelled_image_is_published_as_its_name_says(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.jpg").write_bytes(content)
    (scan,) = scans(tmp_path)
    assert (scan.media_type, scan.sha256) == ("image/jpeg", hashlib.sha256(content).hexdigest())


def test_the_media_type_is_what_the_content_is_not_what_the_name_says(tmp_path: Path) -> None:
    image(tmp_path / "a.png").rename(tmp_path / "a.jpg")
    assert [scan.media_type for scan in scans(tmp_path)] == ["image/png"]


def test_a_file_name_that_is_not_utf8_still_has_a_readable_id_and_an_exact_uri(tmp_path: Path) -> None:
    box = tmp_path / "box"
    path = image(box / "x.jpg").rename(box / os.fsdecode(b"\xf5htu.jpg"))
    (scan,) = scans(box)
    assert scan.scan_id == "box/\\xf5htu.jpg"
    assert scan.uri.endswith("/%F5htu.jpg")
    assert scan.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    scan.model_dump_json()


def test_linked_folders_are_followed_each_once_and_pipes_are_left_alone(tmp_path: Path) -> None:
    image(tmp_path / "elsewhere" / "a.jpg")
    box = tmp_path / "box"
    box.mkdir()
    (box / "link").symlink_to(tmp_path / "elsewhere")
    (box / "loop").symlink_to(box)
    os.mkfifo(box / "pipe.jpg")
    listing = list_sources([box])
    assert [source.scan_id for source in listing.sources] == ["box/link/a.jpg"]
    assert listing.skipped == 1


def test_a_manifest_says_id_collection_page_and_metadata_and_its_relative_uris_start_beside_it(tmp_path: Path) -> None:
    image(tmp_path / "box" / "scans" / "a b.tif", pages=2)
    image(tmp_path / "other" / "c.jpg")
    manifest = tmp_path / "box" / "m.csv"
    manifest.write_text(
        "uri,scan_id,collection,page,title\n"
        "scans/a b.tif,,,,both pages\n"
        "scans/a b.tif,second,,2,\n"
        "scans/a b.tif,,fotod,2,\n"
        f"{tmp_path}/other/c.jpg,,,,\n"
        f"{(tmp_path / 'other/c.jpg').as_uri()},by uri,,,\n"
    )
    read = scans(manifest)
    assert [(scan.scan_id, scan.collection, scan.page) for scan in read] == [
        ("box/scans/a b.tif#page=1", "box", 1),
        ("box/scans/a b.tif#page=2", "box", 2),
        ("second", "box", 2),
        ("fotod/scans/a b.tif#page=2", "fotod", 2),
        (f"box{tmp_path}/other/c.jpg", "box", None),
        ("by uri", "box", None),
    ]
    assert read[0].metadata == {"title": "both pages"}
    assert len({scan.uri for scan in read[:4]}) == 1
    assert UNREADABLE_SHA256 not in {scan.sha256 for scan in read}


def test_what_a_manifest_names_is_published_as_said_even_if_it_is_not_there(tmp_path: Path) -> None:
    image(tmp_path / "there.jpg")
    manifest = tmp_path / "m.jsonl"
    manifest.write_text(
        '{"uri": "gone.png"}\n'
        f'{{"uri": "gone2.png", "sha256": "{"cd" * 32}"}}\n'
        f'{{"uri": "there.jpg", "sha256": "{"ef" * 32}", "media_type": "image/x-own"}}\n'
        '{"uri": "memory://gone/scan.jp2", "scan_id": "remote"}\n'
    )
    assert [(scan.sha256, scan.media_type) for scan in scans(manifest)] == [
        (UNREADABLE_SHA256, "image/png"),
        ("cd" * 32, "image/png"),
        ("ef" * 32, "image/x-own"),
        (UNREADABLE_SHA256, "image/jp2"),
    ]


def test_a_remote_store_is_read_through_fsspec(tmp_path: Path) -> None:
    path = image(tmp_path / "a.png")
    fsspec.filesystem("memory").pipe("/box/a[1].png", path.read_bytes())
    (tmp_path / "m.csv").write_text("uri\nmemory://box/a[1].png\n")
    (scan,) = scans(tmp_path / "m.csv", collection="c")
    assert (scan.scan_id, scan.uri) == ("c/box/a[1].png", "memory://box/a[1].png")
    assert scan.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("nothing", "no such file or folder"),
        ("empty", "no images in this folder; supported are .jpg"),
        ("texts", "no images in this folder (1 other files)"),
        ("texts/notes.txt", "neither an image (.jpg"),
        ("rows.csv", "no rows in this manifest"),
        ("twice.csv", "line 3: the scan x is in line 2 too"),
        ("long.csv", "line 2: "),
    ],
)
def test_a_path_that_cannot_be_used_is_named_with_the_reason_in_one_line(
    tmp_path: Path, name: str, reason: str
) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "texts").mkdir()
    (tmp_path / "texts" / "notes.txt").write_text("x")
    (tmp_path / "rows.csv").write_text("uri\n")
    (tmp_path / "twice.csv").write_text("uri,scan_id\na.jpg,x\nb.jpg,x\n")
    (tmp_path / "long.csv").write_text(f"uri\n{'x' * 1200}.jpg\n")
    with pytest.raises(UserError) as caught:
        list_sources([tmp_path / name])
    assert name in str(caught.value)
    assert reason in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_remote_path_is_told_to_go_into_a_manifest() -> None:
    with pytest.raises(UserError, match="in a manifest"):
        list_sources(["s3://bucket/a.jpg"])


def test_a_uri_of_an_unknown_kind_is_refused_with_its_reason(tmp_path: Path) -> None:
    (tmp_path / "m.csv").write_text("uri\nnosuch://a.jpg\n")
    with pytest.raises(UserError, match=r"nosuch://a.jpg: .*nosuch"):
        scans(tmp_path / "m.csv")


def test_two_files_that_would_be_one_scan_are_refused(tmp_path: Path) -> None:
    image(tmp_path / "1" / "box" / "a.jpg")
    image(tmp_path / "2" / "box" / "a.jpg")
    with pytest.raises(UserError, match=r"would both be the scan box/a\.jpg"):
        list_sources([tmp_path / "1" / "box", tmp_path / "2" / "box"])
    assert len(scans(tmp_path / "1" / "box", tmp_path / "1" / "box")) == 1


@pytest.mark.parametrize(
    ("uri", "reason"),
    [
        ("https://ann:secret@host/a.jpg", "has a login"),
        ("simplecache::https://ann:secret@host/a.jpg", "has a login"),
        ("zip://a.jpg::https://ann:secret@host/a.zip", "not a valid uri"),
        ("http://[::1/a.jpg", "not a valid uri"),
        ("http://host:99999/a.jpg", "not a valid uri"),
    ],
)
def test_a_uri_with_a_login_is_refused_in_a_chain_of_uris_too(tmp_path: Path, uri: str, reason: str) -> None:
    (tmp_path / "m.csv").write_text(f"uri\n{uri}\n")
    with pytest.raises(UserError, match=reason) as caught:
        list_sources([tmp_path / "m.csv"])
    assert "secret" not in str(caught.value)


def test_the_file_of_a_published_scan_is_read_only_if_it_is_a_regular_one(tmp_path: Path) -> None:
    """Whoever may publish scans could name a pipe or a device, which never ends."""
    os.mkfifo(tmp_path / "pipe.jpg")
    for place in (tmp_path / "pipe.jpg", Path("/dev/zero"), tmp_path):
        assert not holds(place.as_uri(), "0" * 64)
        assert why_unreadable(place.as_uri()) == "not a file"
