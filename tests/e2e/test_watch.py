"""A folder that is watched, whatever happens to the machine meanwhile."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import psutil
import pytest
from prometheus_client.parser import text_string_to_metric_families

from cli.supervisor import CONSUMERS
from local.child import working_in
from tests.builders.children import command_of
from tests.builders.clock import wait_until
from tests.builders.commands import facestream

pytestmark = pytest.mark.process


@dataclass
class Watched:
    """`facestream watch`, which runs, and what is put into its folder: crops with one face each."""

    process: subprocess.Popen[str]
    log: Path
    data: Path
    folder: Path
    crops: list[Path]
    on_small_disk: bool
    metrics_port: int
    put_in: int = 0

    def put(self) -> None:
        """Put the next crop into the folder."""
        shutil.copy(self.crops[self.put_in], self.folder)
        self.put_in += 1

    def wait_until_clustered(self) -> None:
        """Ask the running system, as a person would from a second terminal, until all faces are there."""

        def are_there() -> bool:
            assert self.process.poll() is None, self.log.read_text()
            if not (self.data / "services.json").exists():
                return False
            asked = facestream("status", "--data", self.data, "--json")
            status = json.loads(asked.stdout) if asked.returncode == 0 else {}
            return bool(status) and status["faces"] >= self.put_in and not any(status["lag"].values())

        wait_until(are_there, self.what_was_logged, within_s=150, every_s=0.5)

    def what_was_logged(self) -> str:
        """The log of the command, and the ends of those of the consumers."""
        logs = {path.name: path.read_text()[-2000:] for path in (self.data / "logs").glob("*.log")}
        return f"{self.put_in} faces: {self.log.read_text()} {logs}"

    def end(self) -> dict[str, Any]:
        """Ctrl-C; what it prints at its end."""
        self.process.send_signal(signal.SIGINT)
        out, _ = self.process.communicate(timeout=90)
        assert self.process.returncode == 0, self.log.read_text()
        summary: dict[str, Any] = json.loads(out)
        return summary


@pytest.fixture(scope="module")
def watched(sample: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watched]:
    """A system that watches a folder, its data on a small disk of its own where this user may mount one."""
    base = tmp_path_factory.mktemp("watched")
    data, folder, log = base / "data", base / "incoming", base / "watch.log"
    data.mkdir()
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=300m,mode=0755", "tmpfs", str(data)]
    mounted = os.getuid() == 0 and subprocess.run(mount, check=False, capture_output=True).returncode == 0
    command = [sys.executable, "-m", "cli.main", "watch", str(folder), "--data", str(data), "--upsample", "0", "--json"]
    port = first_of_free_ports(5)
    environment = os.environ | {"FACESTREAM_METRICS__PORT": str(port)}
    try:
        with (
            log.open("w") as error,
            subprocess.Popen(command, stdout=subprocess.PIPE, stderr=error, text=True, env=environment) as run,
        ):
            try:
                crops = sorted((sample / "prints").glob("hopper_0*"))
                watching = Watched(run, log, data, folder, crops, mounted, port)
                watching.put()
                watching.wait_until_clustered()
                yield watching
            finally:
                if run.poll() is None:
                    run.send_signal(signal.SIGINT)
    finally:
        if mounted:
            subprocess.run(["umount", "--lazy", str(data)], check=True)


def first_of_free_ports(count: int) -> int:
    """The first of so many free ports in a row."""
    for first in range(20_000 + os.getpid() % 5_000, 30_000, count):
        with ExitStack() as stack, suppress(OSError):
            for port in range(first, first + count):
                stack.enter_context(socket.socket()).bind(("127.0.0.1", port))
            return first
    raise AssertionError("no free ports")


@pytest.mark.broker
@pytest.mark.database
@pytest.mark.weights
def test_every_process_serves_its_metrics_and_is_alive_and_ready(watched: Watched) -> None:
    found: dict[str, float] = {}
    for port in range(watched.metrics_port, watched.metrics_port + 5):
        for path in ("livez", "readyz"):
            with urlopen(f"http://127.0.0.1:{port}/{path}", timeout=10) as answer:
                assert answer.status == 200
        with urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
            families = list(text_string_to_metric_families(answer.read().decode()))
        samples = [sample for family in families for sample in family.samples]
        found |= {one.name: one.value for one in samples if not one.labels and one.value}
        found |= {one.labels["consumer"]: one.value for one in samples if one.name == "facestream_taking_part"}
    assert {name: found[name] for name in CONSUMERS} == dict.fromkeys(CONSUMERS, 1)
    # Of each face that was put into the folder, from one end to the other. Counters begin with their process.
    assert found["facestream_scans_published_total"] == watched.put_in
    assert found["facestream_indexed_faces"] == found["facestream_clustered_faces"] == watched.put_in
    for name in ("scans_analysed_total", "faces_found_total", "scan_to_catalogue_seconds_count"):
        assert 0 < found[f"facestream_{name}"] <= watched.put_in


@pytest.mark.broker
@pytest.mark.database
@pytest.mark.weights
def test_a_service_that_is_killed_is_started_again_at_its_address_and_all_go_on(watched: Watched) -> None:
    """kill -9 of each, while a photograph arrives; the desk in another process goes on as well."""
    before = (watched.data / "services.json").read_text()
    with desk_beside(watched.data) as page:
        for find in (broker_of, postmaster_of, backend_of):
            victim = find(watched.data)
            watched.put()
            victim.kill()
            watched.wait_until_clustered()
            wait_until(lambda: answers(page), "the desk does not answer", every_s=0.5)
    assert (watched.data / "services.json").read_text() == before
    lines = [line for line in watched.log.read_text().splitlines() if line.startswith("the embedded")]
    assert [re.sub(r"after \d+ s", "after … s", line) for line in lines] == [
        "the embedded Kafka was ended by signal 9 (SIGKILL): it is started again",
        "the embedded Kafka answers again, after … s",
        "the embedded PostgreSQL was ended by signal 9 (SIGKILL): it is started again",
        "the embedded PostgreSQL answers again, after … s",
    ]


@pytest.mark.broker
@pytest.mark.database
@pytest.mark.weights
def test_a_full_disk_is_waited_out(watched: Watched) -> None:
    if not watched.on_small_disk:
        pytest.skip("this user may not mount a small disk to fill")
    filler = watched.data / "filler"
    with suppress(OSError), filler.open("wb", buffering=0) as file:
        while file.write(bytes(1 << 16)):
            pass
    watched.put()
    wait_until(lambda: "the disk is full: the embedded Kafka waits" in watched.log.read_text(), "nothing is reported")
    assert watched.process.poll() is None
    filler.unlink()
    watched.wait_until_clustered()


@pytest.mark.broker
@pytest.mark.database
@pytest.mark.weights
def test_at_its_end_all_is_accounted_for_whatever_happened(watched: Watched) -> None:
    watched.put()
    watched.wait_until_clustered()
    summary = watched.end()
    counted = (watched.put_in, watched.put_in, 0, 0)
    assert (summary["scans"], summary["faces"], summary["dead_letters"], summary["waiting"]) == counted
    assert summary["published"] == watched.put_in
    assert "Traceback" not in watched.log.read_text()


def test_a_missing_folder_is_reported_before_anything_is_started(tmp_path: Path) -> None:
    refused = facestream("watch", tmp_path / "nowhere", "--data", tmp_path / "data")
    assert refused.returncode == 1
    assert refused.stderr == f"facestream: {tmp_path / 'nowhere'}: no such folder to watch\n"
    assert not (tmp_path / "data").exists()


@contextmanager
def desk_beside(data: Path) -> Iterator[str]:
    """The desk in a process of its own, which shares the services of another; gives the address of a page."""
    command = [sys.executable, "-m", "cli.main", "desk", "--data", str(data)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as desk:
        try:
            assert desk.stdout is not None
            address = re.search(r"http://\S+", desk.stdout.readline())
            assert address is not None
            yield f"{address[0]}/people"
        finally:
            desk.terminate()
            _, err = desk.communicate(timeout=30)
    assert "Traceback" not in err


def answers(address: str) -> bool:
    """Whether a page is there."""
    try:
        with urlopen(address, timeout=30) as page:
            return bool(page.status == 200)
    except OSError:
        return False


def broker_of(data: Path) -> psutil.Process:
    """The JVM of this folder."""
    (broker,) = working_in("java", data / "kafka")
    return broker


def postmaster_of(data: Path) -> psutil.Process:
    """The server of this folder that all others are children of."""
    return psutil.Process(int((data / "postgres" / "postmaster.pid").read_text().split()[0]))


def backend_of(data: Path) -> psutil.Process:
    """The server process of one connection."""
    return next(it for it in postmaster_of(data).children() if "[local]" in command_of(it))
