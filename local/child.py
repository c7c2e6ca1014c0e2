"""A server process that ends with its owner: started, awaited, stopped, and found again when orphaned."""

from __future__ import annotations

import ctypes
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil
from tenacity import RetryError, Retrying, retry_if_result, stop_after_delay, wait_fixed

from local.errors import KilledWhileStarting, LocalServiceError

_PR_SET_PDEATHSIG = 1  # linux/prctl.h
_ERROR = re.compile(r"\b(ERROR|FATAL|PANIC)\b|Exception|Error:")


@dataclass(frozen=True)
class Child:
    """A running server process and where it logs."""

    name: str
    process: subprocess.Popen[bytes]
    log: Path
    log_start: int
    stop_signal: signal.Signals

    def wait_until(
        self, ready: Callable[[], bool], *, within: float, ending: Callable[[], bool] = lambda: False
    ) -> None:
        """Wait until `ready` returns true, or `ending` does: its owner ends before it has come up.

        Raises LocalServiceError if the process ends first or after `within` s; it is stopped then.
        """
        try:
            self._wait_until(ready, within, ending)
        except BaseException:
            self.stop()
            raise

    def _wait_until(self, ready: Callable[[], bool], within: float, ending: Callable[[], bool]) -> None:

        def ready_or_ended() -> bool:
            return self.process.poll() is not None or ending() or ready()

        try:
            Retrying(stop=stop_after_delay(within), wait=wait_fixed(0.1), retry=retry_if_result(lambda done: not done))(
                ready_or_ended
            )
        except RetryError as error:
            raise LocalServiceError(self._describe(f"did not answer within {within:.0f} s")) from error
        if self.process.poll() is not None and not ending():
            kind = KilledWhileStarting if self.process.returncode == -signal.SIGKILL else LocalServiceError
            raise kind(self._describe(f"{self.how_it_ended} instead of starting"))

    @property
    def how_it_ended(self) -> str:
        """How the process ended, as the end of a sentence."""
        code = self.process.returncode
        return f"ended with code {code}" if code >= 0 else f"was ended by signal {-code} ({signal.Signals(-code).name})"

    @property
    def last_error(self) -> str:
        """The last line of its log that reports an error, since its start."""
        return last_error_line(self.log, self.log_start)

    def has_logged(self, text: str) -> bool:
        """Whether the text is in its log, since its start."""
        return text.encode() in self._logged(self.log_start)[0]

    def log_since(self, position: int) -> tuple[str, int]:
        """Its log from this position on, and the position of its end."""
        text, end = self._logged(position)
        return text.decode(errors="replace"), end

    def _logged(self, position: int) -> tuple[bytes, int]:
        """The same, as bytes. Of a log that somebody has emptied meanwhile, all; of one that is gone, nothing."""
        try:
            with self.log.open("rb") as file:
                if file.seek(0, os.SEEK_END) < position:
                    position = 0
                file.seek(position)
                text = file.read()
        except FileNotFoundError:
            return b"", 0
        return text, position + len(text)

    def stop(self, *, within: float = 30.0) -> None:
        """Ask it to stop and wait for its end; kill it if that takes more than `within` seconds."""
        self.process.send_signal(self.stop_signal)
        try:
            self.process.wait(within)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def _describe(self, problem: str) -> str:
        return f"{self.name} {problem}. Its log is {self.log}: {last_error_line(self.log, self.log_start)}"


def start(
    name: str,
    command: Sequence[str],
    *,
    folder: Path,
    log: Path,
    stop_signal: signal.Signals = signal.SIGTERM,
    user: str | None = None,
    environment: Mapping[str, str] | None = None,
) -> Child:
    """Start a server in `folder`, its output appended to `log`.

    It gets a session of its own, so that Ctrl-C at the terminal reaches only the owner, which stops it last. On Linux
    the kernel sends it `stop_signal` when the thread that started it ends, also after SIGKILL: call this from a
    thread that runs as long as the server should, the main one as a rule. Raises LocalServiceError.
    """
    owner = os.getpid()
    prctl = ctypes.CDLL(None).prctl if sys.platform == "linux" else None

    def tie_to_owner() -> None:
        if prctl is None:
            return
        prctl(_PR_SET_PDEATHSIG, int(stop_signal))
        if os.getppid() != owner:  # The owner ended before the call of prctl.
            os._exit(1)

    try:
        with log.open("ab") as output:
            log_start = output.tell()
            process = subprocess.Popen(
                command,
                cwd=folder,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
                user=user,
                preexec_fn=tie_to_owner,
            )
    except OSError as error:
        raise LocalServiceError(f"{name} cannot be started in {folder}: {error.strerror}") from error
    return Child(name, process, log, log_start, stop_signal)


def stop_leftovers(program: str, folder: Path, stop_signal: signal.Signals, *, within: float = 30.0) -> None:
    """Stop every process of this program that works in this folder: what a killed server or owner has left behind.

    A service is known by its executable and its working folder, never by its arguments: the folder may be among those
    of anybody's `rsync`. Processes of a server that still runs are left to it. Only the owner of the folder may call
    this: then no process found has another owner.
    """
    left = working_in(program, folder)
    pids = {process.pid for process in left}
    for process in left:
        with suppress(psutil.NoSuchProcess):
            if process.ppid() not in pids:
                process.send_signal(stop_signal)
    _, alive = psutil.wait_procs(left, timeout=within)
    for process in alive:
        with suppress(psutil.NoSuchProcess):
            process.kill()
    psutil.wait_procs(alive, timeout=within)


def working_in(program: str, folder: Path) -> list[psutil.Process]:
    """The processes whose executable has this name and whose working folder is `folder`."""
    found = []
    for process in psutil.process_iter():
        # Of other users' processes neither is known; those of the database's own user are to root, who runs it.
        with suppress(psutil.Error, OSError):
            # An executable that was replaced meanwhile, as by an update, has a note after its name.
            executable = Path(process.exe().removesuffix(" (deleted)")).name
            if executable == program and process.pid != os.getpid() and Path(process.cwd()) == folder:
                found.append(process)
    return found


def last_error_line(log: Path, start: int = 0) -> str:
    """The last line of a log that reports an error, else its last line."""
    try:
        with log.open("rb") as file:
            file.seek(start)
            text = file.read().decode(errors="replace")
    except OSError as error:
        return f"({error.strerror})"
    lines = [line.strip() for line in text.splitlines() if line.strip() and not line.lstrip().startswith("at ")]
    errors = [line for line in lines if _ERROR.search(line)]
    return (errors or lines or ["(empty)"])[-1]
