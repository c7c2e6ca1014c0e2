"""The commands that serve the desk: `up` and `desk` until they are stopped, `run` in a terminal alone."""

from __future__ import annotations

import os
import pty
import re
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest
from PIL import Image

from tests.builders.access import free_port
from tests.builders.clock import wait_until
from tests.builders.commands import facestream

pytestmark = [pytest.mark.process, pytest.mark.broker, pytest.mark.database, pytest.mark.weights, pytest.mark.slow]


def is_served(address: str) -> bool:
    """Whether the desk answers there."""
    try:
        with urllib.request.urlopen(f"{address}/next", timeout=10) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


def scan_folder(folder: Path) -> Path:
    """A folder with a scan on which there is no face."""
    folder.mkdir()
    Image.new("RGB", (120, 90), "grey").save(folder / "grey.jpg")
    return folder


def test_run_in_a_terminal_ends_with_the_address_of_the_desk_and_up_serves_it_again(tmp_path: Path) -> None:
    data, scans = tmp_path / "data", scan_folder(tmp_path / "scans")
    command = [sys.executable, "-m", "cli.main", "run", str(scans), "--data", str(data), "--upsample", "0"]
    terminal, end = pty.openpty()
    # A port that is in use is not a reason for a run to fail, so it takes the next one.
    environment = os.environ | {"FACESTREAM_DESK__PORT": str(free_port())}
    with subprocess.Popen(command, stdout=end, stderr=subprocess.DEVNULL, env=environment) as run:
        os.close(end)
        printed = b""
        while not (found := re.search(rb"the desk, until Ctrl-C: (http://127\.0\.0\.1:\d+)\r\n", printed)):
            printed += os.read(terminal, 1000)
        assert b"clusters" in printed
        assert is_served(found[1].decode())
        run.send_signal(signal.SIGINT)
        assert run.wait(timeout=120) == 0
    os.close(terminal)

    port = free_port()
    command = [sys.executable, "-m", "cli.main", "up", "--data", str(data), "--port", str(port)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as up:
        assert up.stdout is not None
        assert up.stdout.readline() == f"the desk, until Ctrl-C: http://127.0.0.1:{port}\n"
        wait_until(lambda: is_served(f"http://127.0.0.1:{port}"), "the desk does not answer")
        up.send_signal(signal.SIGTERM)
        assert up.wait(timeout=120) == 0


def test_up_and_desk_refuse_a_folder_without_an_archive(tmp_path: Path) -> None:
    for command in ("up", "desk"):
        done = facestream(command, "--data", tmp_path / "nothing")
        assert (done.returncode, done.stdout) == (1, "")
        assert "no archive in" in done.stderr
        assert not (tmp_path / "nothing").exists()
