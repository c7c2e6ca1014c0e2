"""The system that is harmed: `facestream watch` on a data folder, members beside it behind proxies, and what to find
in them.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import parse_qs, urlsplit

import psutil

from cli.supervisor import as_environment
from local.access import access
from local.child import working_in
from local.owner import announced
from settings import DatabaseSettings, KafkaSettings, Settings
from tests.builders.children import command_of
from tests.builders.clock import wait_until
from tests.chaos.proxy import Proxy, before_broker, before_database

_UP_WITHIN_S = 180.0
_ENDED_WITHIN_S = 120.0


class NotThere(Exception):
    """What a fault is to hit does not run at this moment."""


class DoesNotEnd(Exception):
    """What was asked to end did not, and was killed."""


@dataclass(frozen=True)
class Roots:
    """Where a run has its data, the folder that is watched, and the folder whose pictures records name."""

    data: Path
    incoming: Path
    pictures: Path


class Machine:
    """A context manager: everything that it started has ended at its end."""

    def __init__(self, roots: Roots, logs: Path) -> None:
        self.roots = roots
        self.logs = logs
        self.starts = 0
        self._watch: subprocess.Popen[bytes] | None = None
        self.members: dict[str, subprocess.Popen[bytes]] = {}
        self.kafka = KafkaSettings()
        self.database = DatabaseSettings()
        self._proxies: dict[str, Proxy] = {}

    def __enter__(self) -> Self:
        self.logs.mkdir(parents=True, exist_ok=True)
        self.roots.incoming.mkdir(parents=True, exist_ok=True)
        self.start()
        try:
            self._connect()
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def _connect(self) -> None:
        self.wait_until_up()
        owner = announced(self.roots.data)
        assert owner is not None
        assert owner.database is not None
        broker = access(self.roots.data / "kafka")
        assert broker.port is not None
        self.kafka = KafkaSettings.model_validate(broker.settings)
        self.database = DatabaseSettings(url=owner.database)
        (sockets,) = parse_qs(urlsplit(owner.database).query)["host"]
        self._proxies = {
            "kafka": before_broker(broker.port).__enter__(),
            "postgres": before_database(Path(sockets, ".s.PGSQL.5432")).__enter__(),
        }

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End all that was started. May be called again."""
        for name in list(self.members):
            self.remove_member(name, signal.SIGKILL)
        with suppress(NotThere):
            self.end()
        for name in list(self._proxies):
            self._proxies.pop(name).__exit__(None, None, None)

    @property
    def proxied_kafka(self) -> KafkaSettings:
        """The broker behind its proxy."""
        return self.kafka.model_copy(update={"bootstrap_servers": f"127.0.0.1:{self._proxies['kafka'].port}"})

    @property
    def settings(self) -> Settings:
        """Those of the system that `watch` runs."""
        return Settings(data=self.roots.data, kafka=self.kafka, database=self.database)

    def proxy(self, name: str) -> Proxy:
        """The proxy before `kafka` or `postgres`."""
        return self._proxies[name]

    def start(self) -> None:
        """Start `facestream watch`."""
        self.starts += 1
        arguments = ["watch", str(self.roots.incoming), "--data", str(self.roots.data), "--upsample", "0", "--json"]
        self._watch = self._command(arguments, "watch", Settings(data=self.roots.data))

    def wait_until_up(self) -> None:
        """Wait until the services and the consumers of `watch` run."""

        def up() -> bool:
            assert self._watch is not None
            if self._watch.poll() is not None:
                raise ChildProcessError(f"watch ended with {self._watch.returncode}: see {self.logs}")
            owner = announced(self.roots.data)
            return owner is not None and owner.ready and len(self._consumers()) == 4

        wait_until(up, "facestream watch does not come up", _UP_WITHIN_S)

    @property
    def is_started(self) -> bool:
        """Whether `watch` was started, and nobody has ended it since."""
        return self._watch is not None

    @property
    def has_ended(self) -> bool:
        """Whether `watch` has ended by itself, which it never should."""
        return self._watch is not None and self._watch.poll() is not None

    @property
    def last_line(self) -> str:
        """What `watch` has printed last."""
        return (self.logs / "watch.log").read_text(errors="replace").rstrip().rpartition("\n")[2]

    def end(self, how: signal.Signals = signal.SIGINT) -> None:
        """End `watch`: in good order, or with SIGKILL. Its services end with it."""
        watch = self._watch
        if watch is None:
            raise NotThere("watch")
        watch.send_signal(how)
        self._watch = None
        _wait_for("facestream watch", watch)

    def process(self, target: str) -> psutil.Process:
        """The process that is called so. Raises NotThere."""
        with suppress(psutil.Error, OSError, ValueError, StopIteration, LookupError):
            if target == "supervisor" and self._watch is not None:
                return psutil.Process(self._watch.pid)
            if target == "broker":
                return working_in("java", self.roots.data / "kafka")[0]
            if target == "database":
                return self._postmaster()
            if target == "backend":
                return next(it for it in self._postmaster().children() if "[local]" in command_of(it))
            if target == "worker":
                return next(it for it in self._consumers()["detect"].children() if "spawn_main" in command_of(it))
            return self._consumers()[target]
        raise NotThere(target)

    def add_member(self, name: str) -> None:
        """Start one more member of a consumer's group, whose connections go through the proxies."""
        url = urlsplit(str(self.database.url))
        at = f"{url.username}@127.0.0.1:{self._proxies['postgres'].port}"
        database = DatabaseSettings(url=f"postgresql://{at}{url.path}?sslmode=disable&gssencmode=disable")
        settings = Settings(data=self.roots.data, kafka=self.proxied_kafka, database=database)
        settings = settings.model_copy(update={"models": settings.models.model_copy(update={"upsample": 0})})
        self.members[name] = self._command([name, "--member", "beside"], f"{name}-beside", settings)

    def remove_member(self, name: str, how: signal.Signals) -> None:
        """End the member beside."""
        member = self.members.pop(name)
        member.send_signal(how)
        _wait_for(f"the member of {name} beside", member)

    def keep_members(self) -> None:
        """Start those members again that have ended, as a service manager would."""
        for name, member in list(self.members.items()):
            if member.poll() is not None:
                self.add_member(name)

    def unexpected_lines(self) -> list[str]:
        """The lines of all logs that show a traceback, or an error that nobody foresaw, to a person."""
        logs = [*self.logs.glob("*.log"), *(self.roots.data / "logs").glob("*.log")]
        return [
            f"{path.name}: {line.strip()}"
            for path in logs
            for line in path.read_text(errors="replace").splitlines()
            if line.startswith("Traceback") or "(unexpected" in line
        ]

    def _consumers(self) -> dict[str, psutil.Process]:
        """Those that `watch` has started, by name."""
        found: dict[str, psutil.Process] = {}
        if self._watch is None:
            return found
        for process in psutil.Process(self._watch.pid).children():
            with suppress(psutil.Error, IndexError):
                command = process.cmdline()
                if command[1:3] == ["-m", "cli.main"]:
                    found[command[3]] = process
        return found

    def _postmaster(self) -> psutil.Process:
        return psutil.Process(int((self.roots.data / "postgres" / "postmaster.pid").read_text().split()[0]))

    def _command(self, arguments: list[str], log: str, settings: Settings) -> subprocess.Popen[bytes]:
        environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("FACESTREAM_")},
            **as_environment(settings),
            "FACESTREAM_STORES__ROOTS": f'["{self.roots.pictures}"]',
            "FACESTREAM_MODELS__PROCESSES": "1",
        }
        with (self.logs / f"{log}.log").open("ab") as output:
            return subprocess.Popen(
                [sys.executable, "-m", "cli.main", *arguments],
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
            )


@contextmanager
def small_disk(folder: Path, size: str = "2g") -> Iterator[bool]:
    """A file system of its own at this folder; whether one could be mounted."""
    folder.mkdir(parents=True, exist_ok=True)
    mount = shutil.which("mount")
    options = ["-t", "tmpfs", "-o", f"size={size},mode=755", "tmpfs", str(folder)]
    if mount is None or subprocess.run([mount, *options], check=False, capture_output=True).returncode != 0:
        yield False
        return
    try:
        yield True
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def _wait_for(name: str, process: subprocess.Popen[bytes]) -> None:
    try:
        process.wait(_ENDED_WITHIN_S)
    except subprocess.TimeoutExpired:
        raise DoesNotEnd(name) from None
    finally:
        process.kill()
        process.wait()


def left_over(data: Path) -> list[str]:
    """The processes of an archive in this folder that are still there a minute after its end; they are killed."""
    processes = []
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            if process.environ().get("FACESTREAM_DATA") == str(data):
                processes.append(process)
    _, left = psutil.wait_procs(processes, timeout=60)
    lines = [f"left over: {command_of(process)}" for process in left]
    for process in left:
        process.kill()
    return lines
