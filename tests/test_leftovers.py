"""The tests themselves: what they leave on the machine."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from tests.leftovers import processes_of

_TESTS = Path(__file__).parent


@pytest.fixture
def temporary() -> Iterator[Path]:
    """A folder for temporary files. Not in pytest's, whose name is too long for another pytest in it."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o711)
        yield Path(folder)


def to_the_controller(tests: subprocess.Popen[str]) -> None:
    """As a CI that cancels a job."""
    tests.send_signal(signal.SIGTERM)


def to_all(tests: subprocess.Popen[str]) -> None:
    """As Ctrl-C at a terminal."""
    os.killpg(tests.pid, signal.SIGINT)


@pytest.mark.broker
@pytest.mark.database
@pytest.mark.weights
@pytest.mark.process
@pytest.mark.parametrize("interrupt", [to_the_controller, to_all])
def test_tests_that_are_interrupted_leave_no_process_and_no_folder(
    interrupt: Callable[[subprocess.Popen[str]], None], temporary: Path
) -> None:
    """One system is started by a test itself, one by a command; either may be up before the other."""
    files = [_TESTS / "e2e" / name for name in ("test_hostile.py", "test_sample.py")]
    with session_of(temporary, "-n", "2", *map(str, files)) as tests:
        deadline = time.monotonic() + 120
        while not detectors(temporary):
            assert tests.poll() is None, tests.communicate()[0]
            assert time.monotonic() < deadline, "nothing came up"
            time.sleep(0.3)
        interrupt(tests)
        out, _ = tests.communicate(timeout=90)
    assert tests.returncode == pytest.ExitCode.INTERRUPTED, out
    assert processes_of(temporary) == []
    assert list(temporary.iterdir()) == []


_LEAVES = """
import subprocess, sys
from tests import leftovers
leftovers._END_WITHIN_S = 1.0
def test_leaves_a_process_behind():
    subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], start_new_session=True)
"""


@pytest.mark.process
def test_a_test_that_leaves_a_process_behind_fails_the_session(temporary: Path, tmp_path: Path) -> None:
    leaves = tmp_path / "test_leaves.py"
    leaves.write_text(_LEAVES)
    with session_of(temporary, "-p", "tests.conftest", str(leaves)) as tests:
        out, _ = tests.communicate(timeout=90)
    assert tests.returncode == pytest.ExitCode.TESTS_FAILED
    assert "LEFT BEHIND" in out
    assert "time.sleep(600)" in out
    assert processes_of(temporary) == []


def session_of(temporary: Path, *arguments: str) -> subprocess.Popen[str]:
    """A session of its own of pytest, with a folder of its own for temporary files."""
    return subprocess.Popen(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *arguments],
        cwd=_TESTS.parent,
        env=os.environ | {"TMPDIR": str(temporary)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
        # A shell that runs the tests in the background has its children ignore Ctrl-C.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )


def detectors(temporary: Path) -> list[psutil.Process]:
    """The detect consumers of that session."""
    return [process for process in processes_of(temporary) if "detect" in (process.info["cmdline"] or ())]
