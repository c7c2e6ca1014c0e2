from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import typer
from kafka import KafkaConsumer
from PIL import Image
from typer.testing import CliRunner, Result

from cli.ingest import ingest
from errors import Fatal, UserError
from producers.feed import Feed, Outcome, Summary
from producers.files import UNREADABLE_SHA256
from producers.watch import watch
from schemas.scans import KeptFace, ScanPublished
from schemas.topics import SCANS, Tombstone
from settings import KafkaSettings
from stream.reading import read_to_end
from tests.builders.clock import NOON
from tests.builders.feed import analysis, box, feed_scans, published_scans, scan
from tests.builders.kafka import publish


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
    publish(kafka, [analysis(first, left=box(0.1), right=box(0.3))])
    publish(kafka, [analysis(scan(collection, "other.jpg"), other=box(0.1))])
    feed_scans(kafka, scan(collection, sha256="cd" * 32))
    second = published_scans(kafka, collection)[-1]
    assert second.keep == (KeptFace(face_id="left", box=box(0.1)), KeptFace(face_id="right", box=box(0.3)))

    # The second analysis finds one of the two a little to the side: the other is still to be kept.
    publish(kafka, [analysis(second, left=box(0.11))])
    feed_scans(kafka, scan(collection, sha256="ef" * 32))
    third = published_scans(kafka, collection)[-1]
    assert third.keep == (KeptFace(face_id="left", box=box(0.11)), KeptFace(face_id="right", box=box(0.3)))
    assert third.published_at == NOON


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
    monkeypatch.setitem(KafkaConsumer.DEFAULT_CONFIG, "bootstrap_timeout_ms", 500)
    nowhere = kafka.model_copy(update={"bootstrap_servers": "127.0.0.1:9"})
    with pytest.raises(Fatal, match=r"127\.0\.0\.1:9"):
        Feed(nowhere, lambda: NOON)


def test_a_watched_folder_is_published_as_files_come_and_once_only(
    kafka: KafkaSettings, collection: str, tmp_path: Path
) -> None:
    Image.new("L", (20, 16)).save(tmp_path / "there.png")
    stop, reports = threading.Event(), []

    def report(scan: ScanPublished, outcome: Outcome) -> None:
        reports.append((scan.scan_id.partition("/")[2], outcome))
        if len(reports) == 1:
            Image.new("L", (20, 16)).save(tmp_path / "new.png")
        else:
            stop.set()

    for _ in range(2):
        stop.clear()
        late = threading.Timer(20, stop.set)
        late.start()
        with Feed(kafka, lambda: NOON) as feed:
            watch(feed, tmp_path, stop, lambda: NOON, report, collection, settle_s=0.2)
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
        assert kafka.bootstrap_servers
        monkeypatch.setenv("FACESTREAM_KAFKA__BOOTSTRAP_SERVERS", kafka.bootstrap_servers)
        yield

    def run(self, *arguments: str) -> Result:
        app = typer.Typer()
        app.command()(ingest)
        return CliRunner().invoke(app, arguments)

    def test_it_says_what_it_published_and_the_second_time_that_it_is_there(
        self, kafka: KafkaSettings, collection: str, tmp_path: Path
    ) -> None:
        Image.new("L", (20, 16)).save(tmp_path / "a.png")
        (tmp_path / "broken.jpg").write_bytes(b"")
        (tmp_path / "notes.txt").write_text("x")
        arguments = (str(tmp_path), "--collection", collection, "--data", str(tmp_path / "data"))
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
        counts = {"published": 0, "changed": 0, "already_there": 2, "skipped_files": 1}
        assert json.loads(second.stdout) == counts
        assert len(published_scans(kafka, collection)) == 2

    def test_a_wrong_path_is_an_error_before_anything_is_published(self, collection: str, tmp_path: Path) -> None:
        Image.new("L", (20, 16)).save(tmp_path / "a.png")
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
