"""Which scan a file is, when files are moved, renamed, copied, replaced and rewritten."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from producers.files import UNREADABLE_SHA256, source_in_folder
from producers.identity import Outcome, Verdict, identify
from producers.known import KnownScans
from producers.missing import missing_scans
from schemas.scans import ScanPublished
from tests.builders.clock import NOON


class Archive:
    """Folders below one folder, published into a memory of known scans as the feed does."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.known = KnownScans()

    def write(self, name: str, content: str) -> None:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)

    def move(self, name: str, to: str) -> None:
        (self.root / to).parent.mkdir(parents=True, exist_ok=True)
        (self.root / name).rename(self.root / to)

    def publish(self, folder: str, *, collection: str | None = None, replacing: bool = False) -> dict[str, Verdict]:
        """Publish a folder; the verdicts by the file's path below it."""
        path = self.root / folder
        files = sorted(file for file in path.rglob("*") if file.is_file())
        pairs = [(file, source_in_folder(file, path, collection)) for file in files]
        verdicts: dict[str, Verdict] = {}
        for file, source in sorted(pairs, key=lambda pair: bool(self.known.at_place(pair[1].uri))):
            scan = ScanPublished(
                scan_id=source.scan_id,
                uri=source.uri,
                sha256=hashlib.sha256(file.read_bytes()).hexdigest(),
                media_type="image/jpeg",
                collection=source.collection,
                published_at=NOON,
            )
            verdict = identify(self.known, scan, named=False, described=False, replacing=replacing)
            if verdict.outcome in (Outcome.PUBLISHED, Outcome.CHANGED, Outcome.MOVED):
                self.known.add(verdict.scan)
            verdicts[file.relative_to(path).as_posix()] = verdict
        return verdicts

    def ids(self, folder: str) -> dict[str, tuple[str, str]]:
        """The outcome and the scan of each file of a folder, when it is published."""
        return {name: (verdict.outcome.value, verdict.scan.scan_id) for name, verdict in self.publish(folder).items()}

    def missing(self) -> list[str]:
        return [scan.scan_id for scan in missing_scans(self.known).missing]


@pytest.fixture
def archive(tmp_path: Path) -> Archive:
    """Two files in the folder box, published."""
    made = Archive(tmp_path)
    made.write("box/a.jpg", "A")
    made.write("box/b.jpg", "B")
    assert made.ids("box") == {"a.jpg": ("published", "box/a.jpg"), "b.jpg": ("published", "box/b.jpg")}
    return made


def test_the_same_again_is_there(archive: Archive) -> None:
    assert archive.ids("box") == {"a.jpg": ("already there", "box/a.jpg"), "b.jpg": ("already there", "box/b.jpg")}


@pytest.mark.parametrize("to", ["box/renamed.jpg", "box/below/a.jpg"])
def test_a_file_that_moved_is_the_same_scan_from_then_on(archive: Archive, to: str) -> None:
    archive.move("box/a.jpg", to)
    name = to.removeprefix("box/")
    assert archive.missing() == ["box/a.jpg"]
    assert archive.ids("box")[name] == ("moved", "box/a.jpg")
    assert archive.known["box/a.jpg"].uri == (archive.root / to).as_uri()
    assert archive.ids("box")[name] == ("already there", "box/a.jpg")
    assert archive.missing() == []
    # At its new place it may change, and move again.
    archive.write(to, "A rescanned")
    assert archive.ids("box")[name] == ("changed", "box/a.jpg")
    archive.move(to, "box/home.jpg")
    assert archive.ids("box")["home.jpg"] == ("moved", "box/a.jpg")


def test_a_folder_that_was_renamed_has_the_same_scans(archive: Archive) -> None:
    archive.move("box", "kast")
    assert archive.ids("kast") == {"a.jpg": ("moved", "box/a.jpg"), "b.jpg": ("moved", "box/b.jpg")}
    assert archive.ids("kast") == {"a.jpg": ("already there", "box/a.jpg"), "b.jpg": ("already there", "box/b.jpg")}
    assert archive.known["box/a.jpg"].collection == "kast"


def test_a_folder_that_was_moved_with_its_name_has_the_same_scans(archive: Archive) -> None:
    archive.move("box", "elsewhere/box")
    assert archive.ids("elsewhere/box") == {"a.jpg": ("moved", "box/a.jpg"), "b.jpg": ("moved", "box/b.jpg")}


def test_files_of_one_content_that_moved_stay_as_many_scans(archive: Archive) -> None:
    archive.write("box/b.jpg", "A")
    assert archive.ids("box")["b.jpg"] == ("changed", "box/b.jpg")
    archive.move("box", "kast")
    assert archive.ids("kast") == {"a.jpg": ("moved", "box/a.jpg"), "b.jpg": ("moved", "box/b.jpg")}


def test_files_that_change_names_with_each_other_are_the_scans_that_they_were(archive: Archive) -> None:
    archive.move("box/a.jpg", "x")
    archive.move("box/b.jpg", "box/a.jpg")
    archive.move("x", "box/b.jpg")
    assert archive.ids("box") == {"a.jpg": ("moved", "box/b.jpg"), "b.jpg": ("moved", "box/a.jpg")}
    assert archive.ids("box") == {"a.jpg": ("already there", "box/b.jpg"), "b.jpg": ("already there", "box/a.jpg")}
    assert archive.missing() == []


def test_files_that_are_renumbered_are_the_scans_that_they_were(archive: Archive) -> None:
    archive.write("box/c.jpg", "C")
    archive.publish("box")
    archive.move("box/b.jpg", "box/a.jpg")
    archive.move("box/c.jpg", "box/b.jpg")
    assert archive.ids("box") == {"a.jpg": ("moved", "box/b.jpg"), "b.jpg": ("moved", "box/c.jpg")}
    assert archive.missing() == ["box/a.jpg"]
    # A rescan of what lies there now is one of the scan that lies there now.
    archive.write("box/a.jpg", "B rescanned")
    assert archive.ids("box")["a.jpg"] == ("changed", "box/b.jpg")


def test_a_new_file_at_the_place_of_one_that_moved_does_not_become_its_scan(archive: Archive) -> None:
    archive.move("box/a.jpg", "box/done/a.jpg")
    archive.write("box/a.jpg", "another picture")
    verdicts = archive.publish("box")
    assert (verdicts["done/a.jpg"].outcome, verdicts["done/a.jpg"].scan.scan_id) == (Outcome.MOVED, "box/a.jpg")
    assert verdicts["a.jpg"].outcome is Outcome.REFUSED
    assert verdicts["a.jpg"].earlier_uri == (archive.root / "box/done/a.jpg").as_uri()


def test_a_copy_is_a_scan_of_its_own_and_known_as_a_copy(archive: Archive) -> None:
    archive.write("box/copy.jpg", "A")
    verdict = archive.publish("box")["copy.jpg"]
    assert (verdict.outcome, verdict.scan.scan_id, verdict.copy_of) == (
        Outcome.PUBLISHED,
        "box/copy.jpg",
        "box/a.jpg",
    )
    again = archive.publish("box")["copy.jpg"]
    assert (again.outcome, again.copy_of) == (Outcome.ALREADY_THERE, None)


def test_a_copy_with_the_same_id_leaves_the_scan_where_it_is(archive: Archive) -> None:
    archive.write("second/box/a.jpg", "A")
    verdict = archive.publish("second/box")["a.jpg"]
    assert (verdict.outcome, verdict.copy_of) == (Outcome.ALREADY_THERE, "box/a.jpg")
    assert archive.known["box/a.jpg"].uri == (archive.root / "box/a.jpg").as_uri()
    # Later the original is deleted: then it was a move.
    (archive.root / "box/a.jpg").unlink()
    assert archive.ids("second/box")["a.jpg"] == ("moved", "box/a.jpg")


def test_the_same_file_through_a_link_is_no_copy(archive: Archive) -> None:
    (archive.root / "links").mkdir()
    (archive.root / "links/box").symlink_to(archive.root / "box")
    verdicts = archive.publish("links/box")
    assert {(verdict.outcome, verdict.copy_of) for verdict in verdicts.values()} == {(Outcome.ALREADY_THERE, None)}


def test_another_picture_with_the_same_id_from_elsewhere_is_refused_or_replaces(archive: Archive) -> None:
    archive.write("1930/box/a.jpg", "another")
    refused = archive.publish("1930/box")["a.jpg"]
    assert (refused.outcome, refused.earlier_uri) == (Outcome.REFUSED, (archive.root / "box/a.jpg").as_uri())
    # Also where the first one is gone: nothing shows that they are the same.
    (archive.root / "box/a.jpg").unlink()
    assert archive.publish("1930/box")["a.jpg"].outcome is Outcome.REFUSED
    other = archive.publish("1930/box", collection="1930")["a.jpg"]
    assert (other.outcome, other.scan.scan_id) == (Outcome.PUBLISHED, "1930/a.jpg")
    replaced = archive.publish("1930/box", replacing=True)["a.jpg"]
    assert (replaced.outcome, replaced.scan.scan_id) == (Outcome.CHANGED, "box/a.jpg")


def test_a_folder_in_another_collection_is_published_there_too(archive: Archive) -> None:
    verdict = archive.publish("box", collection="other")["a.jpg"]
    assert (verdict.outcome, verdict.scan.scan_id, verdict.copy_of) == (Outcome.PUBLISHED, "other/a.jpg", "box/a.jpg")


def test_an_id_from_a_manifest_is_never_another_one(archive: Archive) -> None:
    archive.move("box/a.jpg", "box/moved.jpg")
    scan = ScanPublished(
        scan_id="given",
        uri=(archive.root / "box/moved.jpg").as_uri(),
        sha256=hashlib.sha256(b"A").hexdigest(),
        media_type="image/jpeg",
        collection="box",
        published_at=NOON,
    )
    assert identify(archive.known, scan, named=True, described=True).scan.scan_id == "given"
    assert identify(archive.known, scan, named=False, described=False).scan.scan_id == "box/a.jpg"


def test_what_cannot_be_read_supersedes_nothing(archive: Archive) -> None:
    def unreadable(scan_id: str, name: str) -> Verdict:
        scan = ScanPublished(
            scan_id=scan_id,
            uri=(archive.root / name).as_uri(),
            sha256=UNREADABLE_SHA256,
            media_type="image/jpeg",
            collection="box",
            published_at=NOON,
        )
        return identify(archive.known, scan, named=False, described=False, replacing=True)

    assert unreadable("box/a.jpg", "box/a.jpg").outcome is Outcome.ALREADY_THERE
    assert unreadable("box/a.jpg", "second/box/a.jpg").outcome is Outcome.ALREADY_THERE
    assert unreadable("box/new.jpg", "box/new.jpg").outcome is Outcome.PUBLISHED


def test_the_memory_of_scans_agrees_with_itself_after_any_changes(archive: Archive) -> None:
    archive.move("box/a.jpg", "box/c.jpg")
    archive.publish("box")
    archive.known.remove("box/b.jpg")
    archive.known.remove("unknown")
    ((scan_id, known),) = archive.known.items()
    assert scan_id == "box/a.jpg"
    assert archive.known.at_place(known.uri) == archive.known.with_content(known.sha256) == ("box/a.jpg",)
    assert archive.known.at_place((archive.root / "box/a.jpg").as_uri()) == ()
    assert archive.known.at_place((archive.root / "box/b.jpg").as_uri()) == ()


class TestMissing:
    def test_scans_are_missing_whose_file_or_folder_is_gone(self, archive: Archive) -> None:
        archive.write("box/deep/c.jpg", "C")
        archive.publish("box")
        (archive.root / "box/a.jpg").unlink()
        (archive.root / "box/deep/c.jpg").unlink()
        (archive.root / "box/deep").rmdir()
        assert [(scan.scan_id, scan.reason) for scan in missing_scans(archive.known).missing] == [
            ("box/a.jpg", "the file is gone"),
            ("box/deep/c.jpg", f"the folder {archive.root}/box/deep is gone"),
        ]
        below = missing_scans(archive.known, below=[archive.root / "box/deep"]).missing
        assert [scan.scan_id for scan in below] == ["box/deep/c.jpg"]
        assert missing_scans(archive.known, below=[archive.root / "box/b.jpg"]).missing == []

    def test_a_drive_that_may_be_away_is_no_missing_scan(self, archive: Archive) -> None:
        archive.write("mount/nas/x/a.jpg", "X")
        archive.publish("mount/nas")
        (archive.root / "mount/nas").rename(archive.root / "put aside")
        (archive.root / "mount/nas").mkdir()
        found = missing_scans(archive.known)
        assert found.missing == []
        (away,) = found.away
        assert (away.scan_id, away.reason.partition(";")[0]) == (
            "nas/x/a.jpg",
            f"{archive.root}/mount/nas is empty, as if a drive were not mounted there",
        )
        (archive.root / "mount/nas").rmdir()
        (archive.root / "mount/other").mkdir()
        assert archive.missing() == ["nas/x/a.jpg"]

    def test_scans_in_other_stores_are_not_looked_at(self, archive: Archive) -> None:
        remote = ScanPublished(
            scan_id="remote",
            uri="s3://bucket/a.jpg",
            sha256="ab" * 32,
            media_type="image/jpeg",
            collection="c",
            published_at=NOON,
        )
        archive.known.add(remote)
        found = missing_scans(archive.known)
        assert (found.missing, found.away, found.elsewhere) == ([], [], 1)
