"""Who owns a data folder."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

from local.owner import Owner, announce, announced, try_to_own

_ROOT = Path(__file__).parents[2]


def test_a_folder_has_one_owner_until_it_lets_go(tmp_path: Path) -> None:
    with try_to_own(tmp_path) as first:
        assert first
        with try_to_own(tmp_path) as second:
            assert not second
    with try_to_own(tmp_path) as third:
        assert third


_FORKS = """
import os, pathlib, sys, time
from local.owner import try_to_own
with try_to_own(pathlib.Path(sys.argv[1])):
    if os.fork() == 0:
        print(os.getpid(), flush=True)
    time.sleep(60)
"""


def test_a_process_forked_from_the_owner_does_not_keep_the_folder_of_the_dead(tmp_path: Path) -> None:
    command = [sys.executable, "-c", _FORKS, str(tmp_path)]
    with subprocess.Popen(command, cwd=_ROOT, stdout=subprocess.PIPE, text=True) as owner:
        assert owner.stdout is not None
        forked = int(owner.stdout.readline())
        owner.kill()
        owner.wait()
        try:
            with try_to_own(tmp_path) as owned:
                assert owned
        finally:
            os.kill(forked, signal.SIGKILL)


def test_what_a_killed_owner_announced_is_gone_when_the_next_one_owns(tmp_path: Path) -> None:
    # Process 1 is alive, as the number of a dead owner may be again.
    announce(tmp_path, Owner(pid=1, command="run", ready=True, kafka="127.0.0.1:1"))
    with try_to_own(tmp_path):
        assert announced(tmp_path) is None


def test_a_damaged_announcement_counts_for_nothing(tmp_path: Path) -> None:
    announce(tmp_path, Owner(pid=os.getpid(), command="run", ready=True))
    (path,) = (path for path in tmp_path.iterdir() if b"run" in path.read_bytes())
    path.write_bytes(b"\xff\x80")
    assert announced(tmp_path) is None


def test_an_announcement_of_a_dead_process_counts_for_nothing(tmp_path: Path) -> None:
    announce(tmp_path, Owner(pid=2**22 + 1, command="run", ready=True))
    assert announced(tmp_path) is None
