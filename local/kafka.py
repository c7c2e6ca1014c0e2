"""The embedded Kafka: one JVM that is broker and controller (KRaft), its data and log in one folder."""

from __future__ import annotations

import base64
import os
import random
import signal
import socket
import subprocess
import uuid
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path

from kafka import KafkaAdminClient
from kafka.errors import KafkaError

from local import child
from local.access import MECHANISM, PROTOCOL, USER, Access, access, keep, write_for_owner
from local.errors import LocalServiceError
from local.jars import DEPLOY, jars, java

_READY_WITHIN_S = 120.0
# After a kill it first looks through what it has written since its last checkpoint.
_RECOVERED_WITHIN_S = 600.0
# Below the system's range for outgoing connections, so that none of them takes a port before the broker does.
_PORTS = range(20_000, 30_000)
_LOG = "broker.log"
_DATA = "log"

# The path is relative (the JVM starts in its folder), since a properties file is Latin-1 and a comma ends a path in it.
# The controller's port is new at every start; nothing in the folder depends on it.
_LISTENERS = f"""
listeners=LOCAL://127.0.0.1:{{port}},CONTROLLER://127.0.0.1:{{controller_port}}
advertised.listeners=LOCAL://127.0.0.1:{{port}}
listener.security.protocol.map=LOCAL:{PROTOCOL},CONTROLLER:{PROTOCOL}
inter.broker.listener.name=LOCAL
controller.quorum.voters=1@127.0.0.1:{{controller_port}}
log.dirs={_DATA}
sasl.enabled.mechanisms={MECHANISM}
sasl.mechanism.inter.broker.protocol={MECHANISM}
sasl.mechanism.controller.protocol={MECHANISM}
listener.name.local.plain.sasl.jaas.config={{login}}
listener.name.controller.plain.sasl.jaas.config={{login}}
"""
_LOGIN = (
    "org.apache.kafka.common.security.plain.PlainLoginModule required "
    'username="{user}" password="{password}" user_{user}="{password}";'
)


class Broker:
    """The broker of a folder (created if absent), as a `local.keeper.Service`."""

    name = "the embedded Kafka"

    def __init__(self, folder: Path, report: Callable[[str], None]) -> None:
        """Set up the folder. Its port is that of the last time; where another program has it, `report` is called.

        Raises LocalServiceError if Java or Maven is missing or the folder cannot be used.
        """
        self.folder = folder.resolve()
        log4j = DEPLOY / "log4j2.properties"
        # C1 only: a start takes a third less processor time, and the clients on this machine are the bottleneck.
        self._command = [java(), "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-XX:-UsePerfData"]
        self._command += [f"-Dlog4j2.configurationFile={log4j}"]
        self._command += ["-cp", f"{jars()}/*"]
        self._started = False
        self._log_read = 0
        try:
            # What lies in it is for the owner alone, as the broker is.
            self.folder.mkdir(parents=True, exist_ok=True)
            self.folder.chmod(0o700)
            # Before the ports are looked for: the broker of a killed owner may still have them.
            self._stop_leftovers()
            self.access = _kept_access(self.folder, report)
            write_for_owner(self.folder / "server.properties", _properties(self.access))
            _format(self.folder, self._command)
        except OSError as error:
            raise LocalServiceError(f"the embedded Kafka cannot use {folder}: {error.strerror}") from error

    def start(self, ending: Callable[[], bool]) -> child.Child:
        """See `local.keeper.Service`."""
        if self._started:
            self._stop_leftovers()
        running = child.start(
            self.name,
            [*self._command, "-Xmx512m", f"-Dfacestream.folder={self.folder}", "kafka.Kafka", "server.properties"],
            folder=self.folder,
            log=self.folder / _LOG,
            environment=_environment(),
        )
        within = _RECOVERED_WITHIN_S if self._started else _READY_WITHIN_S
        self._started = True
        running.wait_until(lambda: _answers(self.access), within=within, ending=ending)
        return running

    def is_broken(self, running: child.Child) -> bool:
        """See `local.keeper.Service`.

        Its index files are mapped: on a full disk, writing to one is an internal error of the JVM, after which the
        broker stays, but answers for that partition no more.
        """
        text, self._log_read = running.log_since(max(self._log_read, running.log_start))
        return "java.lang.InternalError" in text

    def _stop_leftovers(self) -> None:
        child.stop_leftovers("java", self.folder, signal.SIGTERM)


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


def _environment() -> dict[str, str]:
    # Without a UTF-8 locale the JVM cannot name a folder with letters beyond ASCII.
    return os.environ | {"LC_ALL": "C.UTF-8"}


def _answers(access: Access) -> bool:
    """Whether the broker answers a client and has registered with its controller."""
    try:
        socket.create_connection(("127.0.0.1", access.port), timeout=1).close()
        client = KafkaAdminClient(
            bootstrap_servers=access.address,
            security_protocol=PROTOCOL,
            sasl_mechanism=MECHANISM,
            sasl_plain_username=USER,
            sasl_plain_password=access.password.get_secret_value(),
            request_timeout_ms=5000,
        )
        with closing(client):
            return bool(client.describe_cluster()["brokers"])
    except (OSError, KafkaError):
        return False


def _kept_access(folder: Path, report: Callable[[str], None]) -> Access:
    """The password and the port of the last time; another port where somebody else has that."""
    found = access(folder)
    if found.port is None or not _is_free(found.port):
        (port,) = free_ports(1)
        if found.port is not None:
            report(f"another program uses port {found.port} of the embedded Kafka: subscribers find it at {port} now")
        found = replace(found, port=port)
    keep(folder, found)
    return found


def _properties(access: Access) -> str:
    (controller_port,) = free_ports(1, but=access.port)
    login = _LOGIN.format(user=USER, password=access.password.get_secret_value())
    listeners = _LISTENERS.format(port=access.port, controller_port=controller_port, login=login)
    return (DEPLOY / "server.properties").read_text() + listeners


def free_ports(count: int, but: int | None = None) -> list[int]:
    """So many ports that nobody has, and not the port `but`. Raises LocalServiceError where there are none."""
    free: list[int] = []
    for port in random.sample(_PORTS, len(_PORTS)):
        if port != but and _is_free(port):
            free.append(port)
        if len(free) == count:
            return free
    raise LocalServiceError(f"no free port from {_PORTS.start} to {_PORTS.stop - 1} for the embedded Kafka")


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        # As the broker does: connections of the one before, which are not quite closed yet, do not matter.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
            probe.listen()
        except (OSError, OverflowError):
            return False
    return True
