"""`facestream profile` as a person types it: of scans in this process, and of a running archive by its metrics."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from PIL import Image

from cli.stage_metrics import live_stages
from tests.builders.commands import facestream, facestream_json
from tests.builders.photographs import group_photo

pytestmark = pytest.mark.process

METRICS = """\
# HELP facestream_records_read_total Records processed and committed
# TYPE facestream_records_read_total counter
facestream_records_read_total{consumer="cluster",topic="neighbours"} 18.0
facestream_records_read_total{consumer="cluster",topic="labels"} 2.0
# HELP facestream_step_duration_seconds Time of a batch in its step
# TYPE facestream_step_duration_seconds histogram
facestream_step_duration_seconds_bucket{consumer="cluster",le="+Inf"} 4.0
facestream_step_duration_seconds_count{consumer="cluster"} 4.0
facestream_step_duration_seconds_sum{consumer="cluster"} 1.5
# HELP process_resident_memory_bytes Resident memory size in bytes.
# TYPE process_resident_memory_bytes gauge
process_resident_memory_bytes 2.62144e+08
"""


@contextmanager
def serving(text: str) -> Iterator[str]:
    """A server that answers everything with this text; its address."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(text.encode())

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/metrics"
    finally:
        server.shutdown()
        server.server_close()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two scans, one of which is damaged."""
    Image.fromarray(group_photo()).save(tmp_path / "group.png")
    (tmp_path / "torn.png").write_bytes((tmp_path / "group.png").read_bytes()[:500])
    return tmp_path


@pytest.mark.weights
def test_each_stage_of_scans_has_its_hits_times_memory_and_device(folder: Path) -> None:
    rows = {row["stage"]: row for row in facestream_json("profile", folder)}
    assert {name: (row["hits"], row["of"]) for name, row in rows.items()} == {
        "loading": (1, "run"),
        "reading": (1, "scan"),
        "decoding": (1, "scan"),
        "detection": (1, "scan"),
        "landmarks and chip": (3, "face"),
        "embedding": (3, "face"),
        "rest of the analysis": (1, "scan"),
        "neighbours": (3, "face"),
        "clustering": (3, "face"),
    }
    assert {row["device"] for row in rows.values()} == {"cpu"}
    for row in rows.values():
        assert row["average_ms"] == pytest.approx(1000 * row["total_s"] / row["hits"], abs=0.01)
    assert rows["detection"]["cpu_s"] > 0
    assert rows["loading"]["grown_mib"] > 10
    assert (rows["detection"]["thesis_average_ms"], rows["embedding"]["thesis_average_ms"]) == (37.4, 6.5)
    assert rows["clustering"]["thesis_total_s"] == 26
    assert [rows[name]["thesis_device"] for name in ("detection", "clustering", "reading")] == ["gpu", "cpu", None]


@pytest.mark.weights
def test_it_is_a_table_too_and_names_what_was_left_out(folder: Path) -> None:
    ended = facestream("profile", folder)
    assert ended.returncode == 0, ended.stderr
    assert "landmarks and chip, a face" in ended.stdout
    assert "the thesis: detection and embedding on a GPU" in ended.stdout
    assert f"scans that could not be analysed: 1 ({folder.name}/torn.png: " in ended.stderr


@pytest.mark.weights
def test_where_no_scan_can_be_analysed_it_is_one_clear_line(folder: Path) -> None:
    (folder / "group.png").unlink()
    ended = facestream("profile", folder)
    assert ended.returncode == 1
    assert ended.stderr.splitlines()[-1].startswith("facestream: none of the 1 scans could be analysed (")


def test_a_running_archive_is_profiled_by_its_metrics() -> None:
    with serving(METRICS) as url:
        (row,) = facestream_json("profile", "--metrics", url)
        assert "records that the consumer has read" in facestream("profile", "--metrics", url).stdout
    assert (row["stage"], row["hits"], row["average_ms"], row["total_s"]) == ("cluster", 20, 75, 1.5)
    assert (row["process"], row["resident_mib"], row["thesis_total_s"]) == (url, 250, 26)


def test_the_stages_within_detect_follow_its_step() -> None:
    metrics = METRICS.replace('"cluster"', '"detect"') + "".join(
        f'facestream_stage_duration_seconds_sum{{stage="{stage}"}} {seconds}\n'
        for stage, seconds in (("embedding", 0.3), ("detection", 1.2))
    )
    with serving(metrics + "facestream_scans_analysed_total 20\nfacestream_faces_found_total 30\n") as url:
        found = [(it.stage, it.hits, it.seconds) for it in live_stages([url])]
    assert found == [("detect", 20, 1.5), ("detection", 20, 1.2), ("embedding", 30, 0.3)]


def test_metrics_that_are_none_are_one_clear_line() -> None:
    with serving("<html>\n") as url:
        assert f"facestream: {url}: no " in facestream("profile", "--metrics", url).stderr
    with serving("") as url:
        ended = facestream("profile", "--metrics", url)
    assert f"facestream: {url}: no steps among these metrics: name the address of a consumer" in ended.stderr
    assert facestream("profile", "--metrics", url).stderr.startswith(f"facestream: {url}: no metrics there (")
    assert "name metrics by an address" in facestream("profile", "--metrics", "file:///etc/passwd").stderr


def test_scans_and_metrics_are_not_profiled_at_once(folder: Path) -> None:
    for arguments in ([], [folder, "--metrics", "http://127.0.0.1:1"]):
        ended = facestream("profile", *arguments)
        assert ended.returncode == 1
        assert "name scans, or where a running archive serves its metrics (--metrics URL)" in ended.stderr
