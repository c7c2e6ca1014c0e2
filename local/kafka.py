"""The embedded Kafka: one JVM that is broker and controller (KRaft), its data and log in one folder."""

from __future__ import annotations

import base64
import os
import random
import signal
import socket
import subprocess
import uuid
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from kafka import KafkaAdminClient
from kafka.errors import KafkaError

from local import child
from local.errors import LocalServiceError
from local.jars import DEPLOY, jars, java

_READY_WITHIN_S = 120.0
# Below the system's range for outgoing connections, so that none of them takes a port before the broker does.
_PORTS = range(20_000, 30_000)
_LOG = "broker.log"
_DATA = "log"

# The path is relative (the JVM starts in its folder), since a properties file is Latin-1 and a comma ends a path in it.
# The ports are new at every start; nothing in the folder depends on them.
_ADDRESSES = f"""
listeners=PLAINTEXT://127.0.0.1:{{port}},CONTROLLER://127.0.0.1:{{controller_port}}
advertised.listeners=PLAINTEXT://127.0.0.1:{{port}}
controller.quorum.voters=1@127.0.0.1:{{controller_port}}
log.dirs={_DATA}
"""


@contextmanager
def broker(folder: Path) -> Iterator[str]:
    """Run the broker of this folder (created if absent): yields its address once it answers, stops it at the end.

    Raises LocalServiceError if Java or Maven is missing or the broker does not come up.
    """
    log4j = DEPLOY / "log4j2.properties"
    # C1 only: a start takes a third less processor time, and the clients on this machine are the bottleneck.
    command = [java(), "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-XX:-UsePerfData"]
    command += [f"-Dlog4j2.configurationFile={log4j}"]
    command += ["-cp", f"{jars()}/*"]
    port, controller_port = _free_ports(2)
    folder.mkdir(parents=True, exist_ok=True)
    addresses = _ADDRESSES.format(port=port, controller_port=controller_port)
    (folder / "server.properties").write_text((DEPLOY / "server.properties").read_text() + addresses)
    _format(folder, command)
    running = child.start(
        "the embedded Kafka",
        [*command, "-Xmx512m", _mark(folder), "kafka.Kafka", "server.properties"],
        folder=folder,
        log=folder / _LOG,
        environment=_environment(),
    )
    try:
        address = f"127.0.0.1:{port}"
        running.wait_until(lambda: _answers(address), within=_READY_WITHIN_S)
        yield address
    finally:
        running.stop()


def stop_orphan(folder: Path) -> None:
    """Stop the broker that a killed owner left behind in this folder, if there is one. For the folder's owner only."""
    child.stop_orphans(_mark(folder), signal.SIGTERM)


def _format(folder: Path, command: list[str]) -> None:
    if (folder / _DATA / "meta.properties").exists():
        return
    cluster_id = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
    done = subprocess.run(
        # One argument with an equals sign, since an id may begin with a dash.
        [
            *(*command, "kafka.tools.StorageTool", "format"),
            *(f"--cluster-id={cluster_id}", "--config=server.properties"),
        ],
        cwd=folder,
        env=_environment(),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=False,
    )
    log = folder / _LOG
    with log.open("ab") as file:
        file.write(done.stdout + done.stderr)
    if done.returncode != 0:
        raise LocalServiceError(
            f"the folder of the embedded Kafka could not be set up. Its log is {log}: {child.last_error_line(log)}"
        )


def _mark(folder: Path) -> str:
    """The argument that identifies this folder's broker among all processes."""
    return f"-Dfacestream.folder={folder.resolve()}"


def _environment() -> dict[str, str]:
    # Without a UTF-8 locale the JVM cannot name a folder with letters beyond ASCII.
    return os.environ | {"LC_ALL": "C.UTF-8"}


def _answers(address: str) -> bool:
    """Whether the broker answers a client and has registered with its controller."""
    host, port = address.split(":")
    try:
        socket.create_connection((host, int(port)), timeout=1).close()
        with closing(KafkaAdminClient(bootstrap_servers=address, request_timeout_ms=5000)) as client:
            return bool(client.describe_cluster()["brokers"])
    except (OSError, KafkaError):
        return False


def _free_ports(count: int) -> list[int]:
    free: list[int] = []
    for port in random.sample(_PORTS, len(_PORTS)):
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        free.append(port)
        if len(free) == count:
            return free
    raise LocalServiceError(f"no free port from {_PORTS.start} to {_PORTS.stop - 1} for the embedded Kafka")
