"""`facestream run` on scans, a real broker and a real database, and what can be read afterwards."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import psutil
import pytest
from kafka import KafkaConsumer
from PIL import Image

from local.services import services
from settings import Settings
from tests.builders.clock import wait_until
from tests.builders.commands import Finished, facestream, facestream_json
from tests.builders.kafka import for_subscribers

pytestmark = [pytest.mark.process, pytest.mark.usefixtures("as_by_default")]


def people_of(cluster: dict[str, Any]) -> set[str]:
    """Whose photographs the faces of a cluster are on."""
    return {str(face["scan_id"]).split("/")[1] for face in cluster["faces"]}


def test_every_scan_is_accounted_for(sample_run: Finished) -> None:
    summary = sample_run.summary
    assert summary["scans"] == summary["published"] == 30
    assert (summary["analysed"], summary["dead_letters"], summary["waiting"]) == (30, 0, 0)
    assert summary["faces"] >= 30


@pytest.mark.weights
@pytest.mark.usefixtures("named_services")
def test_every_cluster_holds_one_person(johns: Path, tmp_path: Path) -> None:
    """On photographs of people in all their variety."""
    (summary,) = facestream_json("run", johns, "--data", tmp_path, "--upsample", "0")
    assert (summary["scans"], summary["analysed"], summary["dead_letters"], summary["waiting"]) == (55, 55, 0, 0)
    assert summary["faces"] >= 50
    found = facestream_json("clusters", "--data", tmp_path)
    assert sum(cluster["size"] for cluster in found) == summary["faces"]
    assert [len(people_of(cluster)) for cluster in found] == [1] * len(found)
    assert {person for cluster in found[:5] for person in people_of(cluster)} == {
        "John_Savage",
        "John_Schneider",
        "John_Salley",
        "John_Simm",
        "John_Shimkus",
    }


def test_the_same_scans_again_add_nothing_and_another_eps_has_taken_effect_when_the_run_ends(
    sample_run: Finished,
) -> None:
    """There is nothing to read, and so no lag."""
    arguments = ["run", sample_run.data / "sample", "--data", sample_run.data, "--upsample", "0"]
    before = facestream_json("clusters", "--data", sample_run.data)
    assert before
    (stricter,) = facestream_json(*arguments, "--eps", "0.1")
    assert stricter["clusters"] > len(before)
    (again,) = facestream_json(*arguments)
    for summary in (stricter, again):
        assert (summary["published"], summary["already_there"], summary["changed"]) == (0, 30, 0)
    assert again["clusters"] == len(before)
    assert facestream_json("clusters", "--data", sample_run.data) == before


def test_a_subscriber_without_our_code_reads_assignments(sample_run: Finished) -> None:
    with services(Settings(data=sample_run.data), database=False, command="pytest") as running:
        subscriber = KafkaConsumer(
            "assignments",
            **for_subscribers(running.kafka),
            isolation_level="read_committed",
            auto_offset_reset="earliest",
            consumer_timeout_ms=3000,
        )
        latest = {record.key.decode(): json.loads(record.value) for record in subscriber}
        subscriber.close()
    sizes = {
        cluster["cluster_id"]: cluster["size"] for cluster in facestream_json("clusters", "--data", sample_run.data)
    }
    assert len(latest) == sample_run.summary["faces"]
    assert Counter(assignment["cluster_id"] for assignment in latest.values()) == sizes


def test_status_counts_and_shows_no_lag(sample_run: Finished) -> None:
    done = facestream("status", "--data", sample_run.data, "--json")
    assert done.returncode == 0, done.stderr
    status = json.loads(done.stdout)
    assert status["lag"] == {"detect": 0, "index": 0, "cluster": 0, "catalogue": 0}
    assert status["breaks"] == []
    assert status["faces"] == sample_run.summary["faces"]


@pytest.mark.broker
@pytest.mark.database
@pytest.mark.weights
def test_an_interrupted_run_ends_cleanly_and_is_taken_up_again(sample: Path, tmp_path: Path) -> None:
    data, count = tmp_path / "data", 30
    arguments = ["run", str(sample), "--data", str(data), "--upsample", "0"]
    command = [sys.executable, "-m", "cli.main", *arguments, "--json"]
    # One process of dlib's own engine analyses eight scans in some seconds, and only then reports them.
    slow = os.environ | {
        "FACESTREAM_MODELS__ENGINE": "dlib",
        "FACESTREAM_MODELS__PROCESSES": "1",
        "FACESTREAM_MODELS__MAX_SIZE": "400",
        "FACESTREAM_MODELS__TURNS": "never",
    }
    first = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=slow)
    try:
        # Each question is a process, which takes its time from what it asks about.
        wait_until(
            lambda: first.poll() is not None or analysed_so_far(data) > 0,
            "nothing is analysed",
            within_s=200,
            every_s=1,
        )
        assert first.poll() is None, "it ended before it was interrupted"
        first.send_signal(signal.SIGINT)
        out, err = first.communicate(timeout=60)
    finally:
        first.kill()
    assert first.returncode == 0, err
    assert "stopping" in err
    interrupted = json.loads(out)
    assert interrupted["scans"] == count
    assert 0 < interrupted["analysed"] < count, "it was not interrupted in the middle"
    assert interrupted["waiting"] == count - interrupted["analysed"]
    left = [
        process.info["cmdline"]
        for process in psutil.process_iter(["cmdline"])
        if process.pid != os.getpid() and any(str(data) in part for part in process.info["cmdline"] or ())
    ]
    assert left == []
    (second,) = facestream_json(*arguments)
    assert (second["scans"], second["waiting"], second["analysed"]) == (count, 0, count)
    assert (second["published"], second["already_there"]) == (0, count)


def analysed_so_far(data: Path) -> int:
    """How many analysed scans the catalogue of a running system has; 0 where there is none yet."""
    if not (data / "services.json").exists():
        return 0
    asked = facestream("status", "--data", data, "--json")
    return int(json.loads(asked.stdout)["analysed"]) if asked.returncode == 0 else 0


@pytest.mark.broker
def test_a_second_run_on_a_folder_in_use_is_refused_with_one_line(sample: Path, tmp_path: Path) -> None:
    settings = Settings(data=tmp_path)
    with services(settings, database=False, exclusive=True, command="run"):
        refused = facestream("run", sample, "--data", tmp_path)
    assert refused.returncode == 1
    assert len(refused.stderr.strip().splitlines()) == 1
    assert "in use" in refused.stderr
    assert str(os.getpid()) in refused.stderr


@pytest.mark.weights
@pytest.mark.usefixtures("named_services")
def test_the_number_of_skipped_files_is_printed(tmp_path: Path) -> None:
    album = tmp_path / "album"
    album.mkdir()
    Image.new("RGB", (120, 120), "white").save(album / "white.png")
    for name in ("list.txt", "list.doc"):
        (album / name).write_text("a list of the photographs in this box")
    done = facestream("run", album, "--data", tmp_path / "data", "--upsample", "0", "--json")
    assert done.returncode == 0, done.stderr
    assert "skipped: 2 other files" in done.stderr
    assert json.loads(done.stdout)["scans"] == 1


def test_a_folder_that_is_not_there_is_one_clear_line(tmp_path: Path) -> None:
    refused = facestream("run", tmp_path / "nowhere", "--data", tmp_path / "data")
    assert refused.returncode == 1
    assert refused.stderr.strip() == f"facestream: {tmp_path / 'nowhere'}: no such file or folder"


def test_a_wrong_setting_is_one_clear_line(tmp_path: Path) -> None:
    done = facestream("cluster", "--eps", "0.9", "--data", tmp_path)
    assert done.returncode == 1
    assert "eps 0.9 is larger than eps_max 0.46" in done.stderr
