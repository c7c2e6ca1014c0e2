"""`facestream trace`, on a real broker."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer import Typer
from typer.testing import CliRunner, Result

from cli.trace import trace
from errors import UserError
from settings import KafkaSettings
from tests.builders.feed import analysis, box, feed_scans, scan
from tests.builders.kafka import name_broker, publish


def run(scan_id: str, data: Path) -> Result:
    app = Typer()
    app.command()(trace)
    return CliRunner().invoke(app, [scan_id, "--json", "--data", str(data)])


def test_a_scan_is_found_in_its_topics_with_the_trace_that_its_publication_has_begun(
    kafka: KafkaSettings, collection: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name_broker(kafka, monkeypatch)
    one, two = scan(collection, "Mari Maasikas.jpg"), scan(collection, "2.jpg")
    feed_scans(kafka, one, two)
    # As another program may publish it: without a trace.
    publish(kafka, [analysis(one, left=box(0.1))])
    published, analysed = map(json.loads, run(one.scan_id, tmp_path).stdout.splitlines())
    assert (published["topic"], len(published["trace_id"])) == ("scans", 32)
    assert (analysed["topic"], analysed["trace_id"]) == ("faces", None)
    (other,) = map(json.loads, run(two.scan_id, tmp_path).stdout.splitlines())
    assert other["trace_id"] != published["trace_id"]
    missing = run(f"{collection}/nowhere.jpg", tmp_path).exception
    assert isinstance(missing, UserError) and str(missing) == f"no scan '{collection}/nowhere.jpg' is published"
