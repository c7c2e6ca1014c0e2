"""A folder that is watched, and a scan that is withdrawn."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from uuid import uuid4

from cli.common import now
from producers.feed import Feed
from producers.files import list_sources, scans_of
from schemas.codec import encode
from schemas.topics import SCANS, Tombstone
from stream import clients
from tests.e2e.conftest import Running, facestream


def test_what_is_put_into_a_watched_folder_is_clustered(johns: Path, tmp_path: Path) -> None:
    crops = sorted((johns / "John_Simm").iterdir())
    folder, data = tmp_path / "incoming", tmp_path / "data"
    folder.mkdir()
    shutil.copy(crops[0], folder)
    command = [sys.executable, "-m", "cli.main", "watch", str(folder), "--data", str(data), "--upsample", "0", "--json"]
    watching = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        wait_for_faces(data, 1)
        shutil.copy(crops[1], folder)
        wait_for_faces(data, 2)
    finally:
        watching.send_signal(signal.SIGINT)
        out, err = watching.communicate(timeout=60)
    assert watching.returncode == 0, err
    summary = json.loads(out)
    assert (summary["scans"], summary["faces"], summary["waiting"]) == (2, 2, 0)


def wait_for_faces(data: Path, faces: int) -> None:
    """Ask the running system, as a person would from a second terminal."""
    deadline = time.monotonic() + 90
    while True:
        if (data / "services.json").exists():
            asked = facestream("status", "--data", data, "--json")
            if asked.returncode == 0 and json.loads(asked.stdout)["faces"] >= faces:
                return
        assert time.monotonic() < deadline, f"{faces} faces did not come"
        time.sleep(0.5)


def test_a_withdrawn_scan_is_gone_everywhere(start: Callable[[], AbstractContextManager[Running]], johns: Path) -> None:
    with start() as running:
        with Feed(running.settings.kafka, now) as feed:
            for source in list_sources([johns / "John_Simm"]).sources[:4]:
                for scan in scans_of(source, now):
                    feed.publish(scan)
        running.wait_until_done()
        (withdrawn,) = running.rows("SELECT min(scan_id) FROM scans")[0]
        producer = clients.producer(running.settings.kafka)
        record = encode(Tombstone(SCANS, withdrawn), event_id=uuid4().hex, time=now())
        producer.send(SCANS.name, key=record.key, value=None, headers=list(record.headers))
        producer.close()
        running.wait_until_done()
        for table in ("scans", "analyses", "faces", "assignments"):
            left = [scan_id for (scan_id,) in running.rows(f"SELECT DISTINCT scan_id FROM {table}")]
            assert len(left) == 3
            assert withdrawn not in left
