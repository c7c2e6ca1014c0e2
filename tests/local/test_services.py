"""The embedded services as a whole: real broker, real database, real processes, real kills."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from pathlib import Path

import psutil
import psycopg
import pytest
from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer
from kafka.admin import NewTopic
from kafka.errors import KafkaError

from local.child import working_in
from local.kafka import free_ports
from local.services import LocalServiceError, services
from settings import Settings
from tests.builders.kafka import for_subscribers

pytestmark = [pytest.mark.broker, pytest.mark.database, pytest.mark.process]

_SCRIPT = Path(__file__).with_name("hold_services.py")
_ROOT = Path(__file__).parents[2]
_PATIENCE_S = 60.0

Hold = Callable[..., subprocess.Popen[str]]


@pytest.fixture
def hold(clean_environment: None) -> Iterator[Hold]:  # noqa: ARG001 - no service of this shell's in the children's
    """Start other processes that have services."""
    with ExitStack() as stack:

        def start(data: Path, *options: str) -> subprocess.Popen[str]:
            process = subprocess.Popen(
                [sys.executable, str(_SCRIPT), str(data), *options],
                env=os.environ | {"PYTHONPATH": str(_ROOT)},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
                start_new_session=True,
            )
            stack.enter_context(process)
            stack.callback(process.kill)
            return process

        yield start


@pytest.fixture
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in os.environ:
        if name.startswith("FACESTREAM_"):
            monkeypatch.delenv(name)


def addresses(process: subprocess.Popen[str]) -> list[str]:
    """What the process prints once it has its services."""
    line = process.stdout.readline() if process.stdout else ""
    if not line:
        raise ChildProcessError("it ended without services")
    found: list[str] = json.loads(line)
    return found


def assert_lets_go(process: subprocess.Popen[str]) -> None:
    """It ends well once its input does."""
    assert process.stdin is not None
    process.stdin.close()
    assert process.wait(_PATIENCE_S) == 0


def servers_of(data: Path) -> list[psutil.Process]:
    """The broker and the database that run in this folder, without the processes of the database's connections."""
    found = [*working_in("java", data / "kafka"), *working_in("postgres", data / "postgres")]
    pids = {process.pid for process in found}
    servers = []
    for process in found:
        with suppress(psutil.NoSuchProcess):  # a process of a connection that has just been closed
            if process.ppid() not in pids:
                servers.append(process)
    return servers


def write(settings: Settings) -> None:
    """A record in a topic and a row in a table."""
    admin = KafkaAdminClient(**for_subscribers(settings.kafka))
    admin.create_topics([NewTopic("kept", num_partitions=1, replication_factor=1)])
    admin.close()
    producer = KafkaProducer(**for_subscribers(settings.kafka), acks="all")
    producer.send("kept", b"record").get(timeout=30)
    producer.close()
    with psycopg.connect(str(settings.database.url)) as connection:
        connection.execute("CREATE EXTENSION IF NOT EXISTS vector")
        connection.execute("CREATE TABLE kept (embedding vector(3))")
        connection.execute("INSERT INTO kept VALUES ('[1,2,3]')")


def read(settings: Settings) -> tuple[list[bytes], list[tuple[float]]]:
    """The records of the topic and the distances of the rows to the origin."""
    consumer = KafkaConsumer(
        "kept",
        **for_subscribers(settings.kafka),
        auto_offset_reset="earliest",
        consumer_timeout_ms=20_000,
    )
    records = [next(consumer).value]
    consumer.close()
    with psycopg.connect(str(settings.database.url)) as connection:
        return records, connection.execute("SELECT (embedding <-> '[1,2,0]')::float FROM kept").fetchall()


KEPT = ([b"record"], [(3.0,)])


@pytest.mark.usefixtures("clean_environment")
def test_records_and_rows_come_back_at_the_same_addresses_after_a_restart(tmp_path: Path) -> None:
    # A name that neither a properties file nor a Unix socket takes as it is.
    data = tmp_path / ("kogu, täis õnne" + "x" * 60)
    with services(Settings(data=data), exclusive=True, command="first") as first:
        write(first)
    assert not servers_of(data)
    with services(Settings(data=data), exclusive=True, command="second") as second:
        assert (second.kafka, second.database) == (first.kafka, first.database)
        assert read(second) == KEPT
    assert not servers_of(data)


@pytest.mark.usefixtures("clean_environment")
@pytest.mark.parametrize("name", ["private", "x" * 80])
def test_where_temporary_files_have_a_private_or_a_long_folder_the_database_comes_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    temporary, data = tmp_path / name, tmp_path / ("data" * 20)
    temporary.mkdir(mode=0o700)
    monkeypatch.setattr("tempfile.tempdir", str(temporary))
    with (
        services(Settings(data=data), kafka=False, command="status") as running,
        psycopg.connect(str(running.database.url)) as connection,
    ):
        assert connection.execute("SELECT 1").fetchone() == (1,)


def assert_nobody_without_the_password_gets_in(data: Path) -> None:
    """Neither to the broker nor to its controller; and no other user of this machine can see the password."""
    file = data / "kafka" / "client.conf"
    settings = dict(line.split("=", 1) for line in file.read_text().splitlines() if "=" in line and line[0] != "#")
    password = settings["sasl.password"]
    assert len(password) >= 32
    hidden = [file, data / "kafka" / "server.properties"]
    assert [path.stat().st_mode & 0o077 for path in (*hidden, data / "kafka")] == [0, 0, 0]
    with_it = {path for path in data.rglob("*") if path.is_file() and password.encode() in path.read_bytes()}
    assert with_it == set(hidden)
    everybody_sees = [" ".join(process.info["cmdline"] or ()) for process in psutil.process_iter(["cmdline"])]
    assert not [line for line in everybody_sees if password in line]
    (broker,) = working_in("java", data / "kafka")
    ports = {it.laddr.port for it in broker.net_connections("tcp") if it.status == psutil.CONN_LISTEN}
    assert len(ports) == 2
    for port in ports:
        for wrong in ({}, {"security_protocol": "SASL_PLAINTEXT", "sasl_mechanism": "PLAIN", **_WRONG}):
            address = {"bootstrap_servers": f"127.0.0.1:{port}", "bootstrap_timeout_ms": 1500}
            with pytest.raises(KafkaError):
                KafkaAdminClient(**address, **wrong).describe_cluster()


_WRONG = {"sasl_plain_username": "facestream", "sasl_plain_password": "wrong"}


@pytest.mark.usefixtures("clean_environment")
def test_where_another_program_has_the_port_the_broker_takes_another_one_for_good(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (port,) = free_ports(1)
    (tmp_path / "kafka").mkdir()
    (tmp_path / "kafka" / "client.conf").write_text(f"bootstrap.servers=127.0.0.1:{port}\nsasl.password={'x' * 40}\n")
    with socket.create_server(("127.0.0.1", port)):
        with services(Settings(data=tmp_path), database=False, command="run") as first:
            taken = str(first.kafka.bootstrap_servers)
        assert taken != f"127.0.0.1:{port}"
    other = taken.rpartition(":")[2]
    assert capsys.readouterr().err == (
        f"facestream: another program uses port {port} of the embedded Kafka: subscribers find it at {other} now\n"
    )
    assert f"bootstrap.servers={taken}\n" in (tmp_path / "kafka" / "client.conf").read_text()


def test_of_two_started_at_once_one_starts_the_services_and_both_use_them(tmp_path: Path, hold: Hold) -> None:
    data = tmp_path / "data"
    processes = [hold(data, "detect"), hold(data, "index")]
    assert addresses(processes[0]) == addresses(processes[1])
    assert len(servers_of(data)) == 2

    owner = json.loads((data / "services.json").read_text())
    with pytest.raises(LocalServiceError) as refused:
        services(Settings(data=data), exclusive=True, command="run").__enter__()
    assert str(refused.value) == (
        f"the data folder {data} is in use by `facestream {owner['command']}` (process {owner['pid']}): "
        "stop it first, or choose another folder with --data"
    )

    assert_nobody_without_the_password_gets_in(data)
    guest, host = sorted(processes, key=lambda process: process.pid == owner["pid"])
    assert_lets_go(guest)
    assert len(servers_of(data)) == 2
    assert_lets_go(host)
    assert not servers_of(data)


def test_a_service_that_the_owner_does_not_run_is_reported(tmp_path: Path, hold: Hold) -> None:
    data = tmp_path / "data"
    owner = hold(data, "odd", "no-kafka")
    addresses(owner)
    with pytest.raises(LocalServiceError, match=rf"`facestream odd` \(process {owner.pid}\), which runs no embedded K"):
        services(Settings(data=data), command="status").__enter__()
    with services(Settings(data=data), kafka=False, command="similar") as settings:
        assert settings.database.url is not None
    assert_lets_go(owner)


@pytest.mark.usefixtures("clean_environment")
def test_after_kill_9_of_the_owner_no_server_is_left_and_the_data_is(tmp_path: Path, hold: Hold) -> None:
    data = tmp_path / "data"
    owner = hold(data, "run", "exclusive")
    addresses(owner)
    with services(Settings(data=data), command="ingest") as guest:
        write(guest)
    servers = servers_of(data)
    assert len(servers) == 2
    owner.kill()
    owner.wait()
    _, alive = psutil.wait_procs(servers, timeout=30)
    assert not alive
    with services(Settings(data=data), exclusive=True, command="run") as again:
        assert read(again) == KEPT


@pytest.mark.usefixtures("clean_environment")
def test_after_kill_9_of_the_servers_too_and_with_orphans_about_the_next_owner_has_the_data(tmp_path: Path) -> None:
    data = tmp_path / "data"
    with services(Settings(data=data), exclusive=True, command="run") as first:
        write(first)
        running = [(server.cmdline(), server.cwd(), server.username()) for server in servers_of(data)]
        assert len(running) >= 2, "a broker and a database"
        for server in servers_of(data):
            server.kill()
    # The same servers once more, tied to nobody: what a system without the kernel's help leaves behind.
    orphans = [
        subprocess.Popen(command, cwd=folder, user=user, start_new_session=True, stderr=subprocess.DEVNULL)
        for command, folder, user in running
    ]
    # Others have the folders among their arguments, or work in them: a copy, say, or psql.
    marks = [f"-Dfacestream.folder={data / 'kafka'}", str(data / "postgres")]
    others = [
        subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)", *marks], cwd=data / name)
        for name in ("kafka", "postgres")
    ]
    try:
        with services(Settings(data=data), exclusive=True, command="run") as again:
            assert all(orphan.wait(1) is not None for orphan in orphans)
            assert read(again) == KEPT
        assert [other.poll() for other in others] == [None, None]
    finally:
        for other in others:
            other.kill()
            other.wait()


def test_ctrl_c_at_the_terminal_leaves_the_broker_to_its_owner_until_that_is_done(tmp_path: Path, hold: Hold) -> None:
    owner = hold(tmp_path / "data", "run", "exclusive")
    addresses(owner)
    os.killpg(owner.pid, signal.SIGINT)
    assert addresses(owner) == [], "the broker answers after Ctrl-C"
    assert owner.wait(_PATIENCE_S) == 0
    assert not servers_of(tmp_path / "data")


def test_named_services_are_used_and_nothing_is_started(tmp_path: Path) -> None:
    named = Settings.model_validate(
        {
            "data": tmp_path / "data",
            "kafka": {"bootstrap_servers": "broker.example:9092"},
            "database": {"url": "postgresql://db.example/archive"},
        }
    )
    with services(named, exclusive=True, command="run") as settings:
        assert settings == named
    assert not (tmp_path / "data").exists()


@pytest.mark.usefixtures("clean_environment")
def test_a_broker_whose_cluster_id_begins_with_a_dash_comes_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("local.kafka.uuid.uuid4", lambda: uuid.UUID(bytes=b"\xf8" * 16))
    with services(Settings(data=tmp_path), database=False, command="run"):
        assert "cluster.id=-Pj4" in (tmp_path / "kafka" / "log" / "meta.properties").read_text()


@pytest.mark.usefixtures("clean_environment")
def test_a_broker_that_does_not_come_up_is_reported_in_one_line_with_its_log(tmp_path: Path) -> None:
    log = tmp_path / "kafka" / "log"
    log.mkdir(parents=True)
    (log / "meta.properties").write_text("version=7\n")
    with pytest.raises(LocalServiceError) as failed:
        services(Settings(data=tmp_path), database=False, exclusive=True, command="run").__enter__()
    line = str(failed.value)
    assert line.startswith("the embedded Kafka ended with code 1 instead of starting. Its log is ")
    assert str(tmp_path / "kafka" / "broker.log") in line
    assert line.split("broker.log: ")[1].endswith("No readable meta.properties files found.")
    assert "\n" not in line
    assert not servers_of(tmp_path)


@pytest.mark.usefixtures("clean_environment")
def test_a_database_of_another_version_is_refused_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "postgres").mkdir()
    (tmp_path / "postgres" / "PG_VERSION").write_text("9")
    with pytest.raises(LocalServiceError, match=f"the embedded PostgreSQL cannot use {tmp_path / 'postgres'}: .*9"):
        services(Settings(data=tmp_path), kafka=False, command="status").__enter__()


@pytest.mark.usefixtures("clean_environment")
def test_a_data_folder_that_cannot_be_made_is_reported_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(LocalServiceError, match=r"the data folder .*file/data cannot be used: Not a directory"):
        services(Settings(data=tmp_path / "file" / "data"), command="run").__enter__()
