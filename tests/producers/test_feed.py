from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import typer
from kafka import KafkaAdminClient, KafkaConsumer
from PIL import Image
from PIL.PngImagePlugin import PngInfo
from typer.testing import CliRunner, Result

from cli.ingest import ingest
from errors import Fatal, UserError
from producers.feed import Feed, Summary
from producers.files import UNREADABLE_SHA256
from producers.identity import Outcome, Verdict
from producers.known import known_scans
from producers.watch import Options, watch
from schemas.scans import KeptFace, ScanPublished
from schemas.topics import SCANS, Tombstone
from settings import KafkaSettings
from stream.reading import read_to_end
from tests.builders.clock import NOON
from tests.builders.feed import (
    SilentReports,
    analysis,
    box,
    feed_files,
    feed_scans,
    index_folder,
    kept,
    published_scans,
    scan,
)
from tests.builders.kafka import name_broker, publish
from tests.builders.stores import patient_stores


def picture(path: Path, collection: str, number: int = 0) -> None:
    """Save a picture that no other test has: the same content would be a copy, or the same scan moved."""
    text = PngInfo()
    text.add_text("Comment", f"{collection} {number}")
    Image.new("L", (20, 16)).save(path, pnginfo=text)


def test_a_new_scan_is_published_and_the_same_again_is_not(kafka: KafkaSettings, collection: str) -> None:
    assert feed_scans(kafka, scan(collection), scan(collection, "b.jpg")) == Summary(published=2)
    later = scan(collection, minute=5, metadata={"year": "1911", "place": "Tartu"})
    assert feed_scans(kafka, later, scan(collection, "b.jpg", media_type="image/pjpeg")) == Summary(already_there=2)
    assert sorted(published_scans(kafka, collection), key=lambda scan: scan.scan_id) == [
        scan(collection),
        scan(collection, "b.jpg"),
    ]


@pytest.mark.parametrize(
    "changed",
    [{"sha256": "cd" * 32}, {"uri": "file:///moved.jpg"}, {"page": 2}, {"metadata": {"place": "Tallinn"}}],
    ids=lambda changed: next(iter(changed)),
)
def test_a_changed_scan_is_published_again_with_its_first_time(
    kafka: KafkaSettings, collection: str, changed: dict[str, Any]
) -> None:
    feed_scans(kafka, scan(collection))
    assert feed_scans(kafka, scan(collection, minute=5, **changed)) == Summary(changed=1)
    assert published_scans(kafka, collection) == [scan(collection), scan(collection, **changed)]
    assert feed_scans(kafka, scan(collection, minute=9, **changed)) == Summary(already_there=1)


def test_a_changed_scan_takes_the_faces_found_on_it_along(kafka: KafkaSettings, collection: str) -> None:
    first = scan(collection)
    feed_scans(kafka, first)
    publish(kafka, [analysis(first, old=box(0.5))])
    analysed = analysis(first, left=box(0.1), right=box(0.3))
    publish(kafka, [analysed])
    publish(kafka, [analysis(scan(collection, "other.jpg"), other=box(0.1))])
    feed_scans(kafka, scan(collection, sha256="cd" * 32))
    second = published_scans(kafka, collection)[-1]
    assert second.keep == (kept(analysed, "left"), kept(analysed, "right"))
    assert second.keep[0].sha256 == first.sha256 != second.sha256

    # The second analysis finds one of the two a little to the side: the other is kept as one that it did not find.
    analysed_again = analysis(second, left=box(0.11))
    publish(kafka, [analysed_again])
    feed_scans(kafka, scan(collection, sha256="ef" * 32))
    third = published_scans(kafka, collection)[-1]
    assert third.keep == (kept(analysed_again, "left"), kept(analysed, "right", live=False))
    assert third.published_at == NOON


def test_kept_faces_of_earlier_versions_are_those_of_the_picture_before(kafka: KafkaSettings, collection: str) -> None:
    """Their records name neither picture nor embedding: on another picture such a face is not found again."""
    keep = (KeptFace(face_id="old", box=box(0.1)),)
    publish(kafka, [scan(collection, keep=keep, page=3)])
    feed_scans(kafka, scan(collection, sha256="cd" * 32, page=3))
    assert published_scans(kafka, collection)[-1].keep == (
        KeptFace(face_id="old", box=box(0.1), sha256="ab" * 32, page=3, live=False),
    )


def test_a_moved_file_keeps_its_scan_its_faces_and_its_metadata(
    kafka: KafkaSettings, collection: str, tmp_path: Path
) -> None:
    original = tmp_path / "box" / "a.png"
    original.parent.mkdir()
    picture(original, collection)
    (tmp_path / "box" / "rows.csv").write_text("uri,title\na.png,Tartu\n")
    assert feed_files(kafka, tmp_path / "box" / "rows.csv", collection) == Summary(published=1)
    analysed = analysis(published_scans(kafka, collection)[-1], left=box(0.1))
    publish(kafka, [analysed])
    (tmp_path / "elsewhere").mkdir()
    original.rename(tmp_path / "elsewhere" / "b.png")
    assert feed_files(kafka, tmp_path / "elsewhere", collection) == Summary(moved=1)
    moved = published_scans(kafka, collection)[-1]
    assert (moved.scan_id, moved.uri) == (f"{collection}/a.png", (tmp_path / "elsewhere" / "b.png").as_uri())
    assert (moved.metadata, moved.published_at) == ({"title": "Tartu"}, NOON)
    assert moved.keep == (kept(analysed, "left"),)
    assert feed_files(kafka, tmp_path / "elsewhere", collection) == Summary(already_there=1)
    assert len(published_scans(kafka, collection)) == 2


def test_another_picture_with_a_known_id_is_refused_and_replaces_when_it_is_to(
    kafka: KafkaSettings, collection: str, tmp_path: Path
) -> None:
    for year in (1920, 1930):
        (tmp_path / str(year)).mkdir()
        picture(tmp_path / str(year) / "001.png", collection, year)
    assert feed_files(kafka, tmp_path / "1920", collection) == Summary(published=1)
    assert feed_files(kafka, tmp_path / "1930", collection) == Summary(refused=1)
    assert len(published_scans(kafka, collection)) == 1
    assert feed_files(kafka, tmp_path / "1930", collection, replacing=True) == Summary(changed=1)
    assert [Path(scan.uri).parent.name for scan in published_scans(kafka, collection)] == ["1920", "1930"]


def test_a_scan_that_changes_twice_in_one_run_is_published_as_it_is_last(kafka: KafkaSettings, collection: str) -> None:
    changes = [scan(collection, sha256=digest * 32) for digest in ("cd", "ef")]
    assert feed_scans(kafka, scan(collection), *changes) == Summary(published=1, changed=2)
    assert [scan.sha256[:2] for scan in published_scans(kafka, collection)] == ["ab", "ef"]


def test_a_file_that_cannot_be_read_just_now_does_not_replace_a_scan(kafka: KafkaSettings, collection: str) -> None:
    feed_scans(kafka, scan(collection))
    assert feed_scans(kafka, scan(collection, sha256=UNREADABLE_SHA256)) == Summary(already_there=1)
    assert feed_scans(kafka, scan(collection, "gone.jpg", sha256=UNREADABLE_SHA256)) == Summary(published=1)
    # When it can be read after all, it is published with its digest.
    assert feed_scans(kafka, scan(collection, "gone.jpg")) == Summary(changed=1)


def test_a_withdrawn_scan_can_be_published_again_with_a_new_time(kafka: KafkaSettings, collection: str) -> None:
    feed_scans(kafka, scan(collection))
    publish(kafka, [Tombstone(SCANS, scan(collection).scan_id)])
    assert feed_scans(kafka, scan(collection, minute=5)) == Summary(published=1)
    assert published_scans(kafka, collection)[-1].published_at == NOON + timedelta(minutes=5)


def test_an_id_in_any_script_comes_back_as_it_was(kafka: KafkaSettings, collection: str) -> None:
    names = ["õhtu/ä b#page=2", "фото 1", "写真.jp2", "x" * 900]
    feed_scans(kafka, *(scan(collection, name, uri="file:///x") for name in names))
    assert {scan.scan_id for scan in published_scans(kafka, collection)} == {f"{collection}/{name}" for name in names}
    again = (scan(collection, name, uri="file:///x") for name in names)
    assert feed_scans(kafka, *again) == Summary(already_there=len(names))


def test_a_broker_that_is_not_there_is_named(kafka: KafkaSettings, monkeypatch: pytest.MonkeyPatch) -> None:
    for client in (KafkaAdminClient, KafkaConsumer):
        monkeypatch.setitem(client.DEFAULT_CONFIG, "bootstrap_timeout_ms", 500)
    nowhere = kafka.model_copy(update={"bootstrap_servers": "127.0.0.1:9"})
    with pytest.raises(Fatal, match=r"127\.0\.0\.1:9"):
        Feed(nowhere, lambda: NOON)


def test_a_watched_folder_is_published_as_files_come_and_once_only(
    kafka: KafkaSettings, collection: str, tmp_path: Path
) -> None:
    picture(tmp_path / "there.png", collection)
    stop = threading.Event()
    reports: list[tuple[str, Outcome]] = []

    class Reporting(SilentReports):
        def published(self, verdicts: Sequence[Verdict]) -> None:
            reports.extend((verdict.scan.scan_id.partition("/")[2], verdict.outcome) for verdict in verdicts)
            if len(reports) == 1:
                picture(tmp_path / "new.png", collection, 9)
            else:
                stop.set()

    for _ in range(2):
        stop.clear()
        late = threading.Timer(20, stop.set)
        late.start()
        with Feed(kafka, lambda: NOON) as feed:
            watch(
                feed,
                tmp_path,
                patient_stores(stop),
                stop,
                lambda: NOON,
                Reporting(),
                Options(collection, settle_s=0.2),
            )
        late.cancel()
        late.join()
    assert reports == [
        ("there.png", Outcome.PUBLISHED),
        ("new.png", Outcome.PUBLISHED),
        ("new.png", Outcome.ALREADY_THERE),
        ("there.png", Outcome.ALREADY_THERE),
    ]
    assert sorted(scan.scan_id for scan in published_scans(kafka, collection)) == [
        f"{collection}/new.png",
        f"{collection}/there.png",
    ]


class TestIngest:
    """The command, with the broker of its settings."""

    @pytest.fixture(autouse=True)
    def _broker(self, kafka: KafkaSettings, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
        name_broker(kafka, monkeypatch)
        yield

    def run(self, *arguments: str) -> Result:
        app = typer.Typer()
        app.command()(ingest)
        return CliRunner().invoke(app, arguments)

    def test_it_says_what_it_published_and_the_second_time_that_it_is_there(
        self, kafka: KafkaSettings, collection: str, tmp_path: Path
    ) -> None:
        album = tmp_path / "album"
        album.mkdir()
        picture(album / "a.png", collection)
        (album / "broken.jpg").write_bytes(b"")
        (album / "notes.txt").write_text("x")
        arguments = (str(album), "--collection", collection, "--data", str(tmp_path / "data"))
        first = self.run(*arguments)
        assert first.exit_code == 0, first.output
        assert first.stdout == (
            "2 scans: 2 published, 0 changed and published again, 0 already there; 1 other files skipped\n"
        )
        assert {scan.scan_id for scan in published_scans(kafka, collection)} == {
            f"{collection}/a.png",
            f"{collection}/broken.jpg",
        }
        second = self.run(*arguments, "--json")
        counts = {"published": 0, "changed": 0, "already_there": 2, "moved": 0, "copies": 0, "refused": 0}
        others = {"unreadable": 0, "skipped_files": 1, "skipped": {"other": 1}}
        assert json.loads(second.stdout) == counts | others
        assert len(published_scans(kafka, collection)) == 2

    def test_what_is_skipped_is_counted_by_kind_and_listed_when_asked(self, collection: str, tmp_path: Path) -> None:
        (tmp_path / "box" / "@eaDir").mkdir(parents=True)
        (tmp_path / "box" / "drafts").mkdir()
        for name in ("a.png", ".hidden.png", "@eaDir/thumb.png", "drafts/b.png", "c_thumb.png"):
            picture(tmp_path / "box" / name, collection, len(name))
        arguments = (str(tmp_path / "box"), "--collection", collection, "--exclude", "drafts", "--exclude", "*_thumb.*")
        done = self.run(*arguments, "--verbose")
        assert done.exit_code == 0
        assert done.stdout == (
            "1 scans: 1 published, 0 changed and published again, 0 already there; "
            "1 hidden, 1 system folders, 2 excluded skipped\n"
        )
        assert f"skipped (system folders): {tmp_path}/box/@eaDir\n" in done.stderr
        assert f"skipped (excluded): {tmp_path}/box/c_thumb.png\n" in done.stderr
        assert "skipped (" not in self.run(*arguments).stderr

    def test_a_file_that_cannot_be_read_is_named_and_the_exit_status_is_3(
        self, collection: str, tmp_path: Path
    ) -> None:
        picture(tmp_path / "a.png", collection)
        (tmp_path / "nothing.png").symlink_to(tmp_path / "nowhere")
        done = self.run(str(tmp_path), "--collection", collection)
        assert done.exit_code == 3
        assert f"cannot be read: {tmp_path}/nothing.png (No such file or directory)\n" in done.stderr
        assert "2 scans: 2 published" in done.stdout
        assert "; 1 files or folders that cannot be read\n" in done.stdout

    def test_a_refused_scan_is_named_with_what_helps_and_the_exit_status_is_1(
        self, collection: str, tmp_path: Path
    ) -> None:
        for year in ("1920", "1930"):
            (tmp_path / year / "photos").mkdir(parents=True)
            picture(tmp_path / year / "photos" / f"{collection}.png", collection, int(year))
        assert self.run(str(tmp_path / "1920/photos")).exit_code == 0
        done = self.run(str(tmp_path / "1930/photos"))
        assert done.exit_code == 1
        (line,) = (line for line in done.stderr.splitlines() if line.startswith("refused: "))
        assert f"{tmp_path}/1930/photos/{collection}.png has the id photos/{collection}.png" in line
        assert f"the scan at {tmp_path}/1920/photos/{collection}.png" in line
        assert "--collection NAME" in line
        assert "--replace" in line
        assert self.run(str(tmp_path / "1930/photos"), "--collection", collection).exit_code == 0
        replaced = self.run(str(tmp_path / "1930/photos"), "--replace", "--json")
        assert (replaced.exit_code, json.loads(replaced.stdout)["changed"]) == (0, 1)

    def test_moved_files_and_copies_are_reported(self, collection: str, tmp_path: Path) -> None:
        (tmp_path / "box").mkdir()
        picture(tmp_path / "box" / "a.png", collection, 1)
        picture(tmp_path / "box" / "b.png", collection, 2)
        arguments = (str(tmp_path / "box"), "--collection", collection)
        self.run(*arguments)
        (tmp_path / "box" / "a.png").rename(tmp_path / "box" / "c.png")
        (tmp_path / "box" / "d.png").write_bytes((tmp_path / "box" / "b.png").read_bytes())
        done = self.run(*arguments)
        assert done.stdout == (
            "3 scans: 1 published, 0 changed and published again, 1 already there, 1 moved; "
            "1 of them copies of others\n"
        )
        moved = f"moved: {tmp_path}/box/a.png is at {tmp_path}/box/c.png now, the scan {collection}/a.png\n"
        copied = f"copy: {tmp_path}/box/d.png has the content of the scan {collection}/b.png, whose file is there too\n"
        assert moved in done.stderr
        assert copied in done.stderr

    def test_many_lines_of_one_kind_are_cut_short(self, collection: str, tmp_path: Path) -> None:
        picture(tmp_path / "a.png", collection)
        for number in range(8):
            (tmp_path / f"{number}.png").symlink_to(tmp_path / "nowhere")
        arguments = (str(tmp_path), "--collection", collection)
        done = self.run(*arguments)
        assert done.stderr.count("cannot be read: ") == 5
        assert "... and 3 more of these; --verbose lists all\n" in done.stderr
        assert self.run(*arguments, "--verbose").stderr.count("cannot be read: ") == 8

    def test_a_wrong_path_is_an_error_before_anything_is_published(self, collection: str, tmp_path: Path) -> None:
        picture(tmp_path / "a.png", collection)
        result = self.run(str(tmp_path), str(tmp_path / "nothing"), "--collection", collection)
        assert result.exit_code != 0
        assert "nothing: no such file or folder" in str(result.exception)


def test_scans_are_withdrawn_all_or_none_and_may_come_back(kafka: KafkaSettings, collection: str) -> None:
    one, other = scan(collection, "1.jpg"), scan(collection, "2.jpg")
    feed_scans(kafka, one, other)
    with Feed(kafka, lambda: NOON) as feed:
        with pytest.raises(UserError, match=r"no scan 'unknown' is published: nothing was withdrawn"):
            feed.withdraw([one.scan_id, "unknown"])
        feed.withdraw([one.scan_id, one.scan_id])
        with pytest.raises(UserError):
            feed.withdraw([one.scan_id])
    withdrawn = [
        received.message.key for received in read_to_end(kafka, SCANS) if isinstance(received.message, Tombstone)
    ]
    assert [key for key in withdrawn if key.startswith(collection)] == [one.scan_id]
    assert feed_scans(kafka, one, other) == Summary(published=1, already_there=1)


def test_the_scans_below_folders_are_those_of_the_index_and_those_published_since_each_once(
    kafka: KafkaSettings, collection: str
) -> None:
    def at(place: str) -> ScanPublished:
        return scan(collection, place, uri=f"file:///{collection}/{place}")

    feed_scans(kafka, *map(at, ("box/1.jpg", "box/deep/2.jpg", "box/3.jpg", "box2/4.jpg", "5.jpg", "6.jpg")))
    with known_scans(kafka, index_folder(kafka)) as known:
        known.add(at("box/7.jpg"))
        known.add(at("5.jpg"))
        known.add(at("box/3.jpg").model_copy(update={"uri": "file:///elsewhere.jpg"}))
        known.remove(at("box/1.jpg").scan_id)
        here = f"file:///{collection}/"
        found = known.below(
            [f"{here}5.jpg", f"{here}box/7.jpg", f"{here}6.jpg", f"{here}gone.jpg"], [f"{here}box/deep/", f"{here}box/"]
        )
        assert sorted(scan_id.partition("/")[2] for scan_id, _ in found) == [
            "5.jpg",
            "6.jpg",
            "box/7.jpg",
            "box/deep/2.jpg",
        ]
