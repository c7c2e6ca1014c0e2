"""A session of tests leaves nothing behind: no process and no folder, also when it is interrupted.

It has one folder for everything temporary, named in TMPDIR, which every process that it starts inherits. So they are
known by it. One that still runs at the end is stopped; if nobody interrupted the tests, that is a failure.
"""

from __future__ import annotations

import os
import shutil
import signal
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

# Seconds until an ending process counts as left behind, and until one that got SIGTERM is killed.
_END_WITHIN_S = 20.0
_STOP_WITHIN_S = 5.0


class Leftovers:
    """A pytest plugin for the process that all others of the session descend from."""

    def __init__(self) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="facestream-tests-"))
        # The embedded PostgreSQL has its socket in there, as a user of its own where root runs the tests.
        self._folder.chmod(0o711)
        os.environ["TMPDIR"] = tempfile.tempdir = str(self._folder)
        self._left: list[str] = []
        self._failed = False

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Stop what still runs."""
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_IGN)
        interrupted = session.exitstatus == pytest.ExitCode.INTERRUPTED
        if not interrupted:
            psutil.wait_procs(processes_of(self._folder), timeout=_END_WITHIN_S)
        left = processes_of(self._folder)
        if left and not interrupted:
            self._left = [f"{process.pid} {' '.join(process.info['cmdline'] or ())}" for process in left]
            session.exitstatus = pytest.ExitCode.TESTS_FAILED
        self._failed = session.exitstatus == pytest.ExitCode.TESTS_FAILED
        while left:
            _stop(left)
            left = processes_of(self._folder)

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Say what was left behind, and what is kept."""
        for line in self._left:
            terminalreporter.write_line(f"LEFT BEHIND by a test, stopped now: process {line}", red=True)
        if self._failed:
            terminalreporter.write_line(f"the data of the tests that failed: {self._folder}")

    def pytest_unconfigure(self) -> None:
        """Remove the folder, unless a test failed."""
        if not self._failed:
            shutil.rmtree(self._folder)


def processes_of(folder: Path) -> list[psutil.Process]:
    """All processes but this one whose TMPDIR is this folder or below it.

    Python's own resource tracker of this process is none of them: it ends with this process, and not before.
    """
    return [
        process
        for process in psutil.process_iter(["environ", "cmdline"])
        if process.pid != os.getpid()
        and not _is_own_tracker(process)
        and Path((process.info["environ"] or {}).get("TMPDIR", "/")).is_relative_to(folder)
    ]


def _is_own_tracker(process: psutil.Process) -> bool:
    """Whether it is what Python itself starts beside worker processes, which ends with the process that has them."""
    is_tracker = any("multiprocessing.resource_tracker" in part for part in process.info["cmdline"] or ())
    with suppress(psutil.Error):
        return is_tracker and process.ppid() == os.getpid()
    return False


def _stop(processes: Sequence[psutil.Process]) -> None:
    for process in processes:
        with suppress(psutil.Error):
            process.terminate()
    _, alive = psutil.wait_procs(processes, timeout=_STOP_WITHIN_S)
    for process in alive:
        with suppress(psutil.Error):
            process.kill()
    psutil.wait_procs(alive, timeout=_STOP_WITHIN_S)
