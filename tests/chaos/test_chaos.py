"""A short chaos run, and that a schedule is what its seed says."""

from __future__ import annotations

import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tests.chaos.inputs import make_pictures, portions
from tests.chaos.run import chaos
from tests.chaos.schedule import Kind, schedule

# Catalogue and broker killed, a standby added, the supervisor killed, connections to PostgreSQL cut, the disk filled.
FAULTS, SEED = 6, 180


@pytest.fixture
def folder() -> Iterator[Path]:
    """Not in pytest's folder: the database runs as a user of its own, who has to enter it."""
    with tempfile.TemporaryDirectory(prefix="facestream-chaos-", ignore_cleanup_errors=True) as path:
        Path(path).chmod(0o755)
        yield Path(path)


@pytest.mark.broker
@pytest.mark.database
@pytest.mark.weights
@pytest.mark.process
@pytest.mark.slow
@pytest.mark.timeout(900)  # a minute and a half, but for a machine that others use
def test_whatever_is_done_to_the_system_it_comes_to_what_an_undisturbed_run_comes_to(folder: Path) -> None:
    result = chaos(folder, FAULTS, SEED, lambda line: print(line, file=sys.stderr))
    assert result.problems == []
    assert len(result.recoveries) == FAULTS
    reasons = {one.left_out for one in result.recoveries if one.left_out}
    assert reasons <= {"no file system can be mounted here"}
    assert [one for one in psutil.process_iter(["cwd"]) if str(folder) in str(one.info["cwd"])] == []


def test_a_seed_makes_one_schedule_and_one_feed(tmp_path: Path) -> None:
    pictures = make_pictures(tmp_path)
    assert schedule(200, seed=3) == schedule(200, seed=3) != schedule(200, seed=4)
    assert schedule(200, seed=3)[:50] == schedule(50, seed=3)
    assert portions(20, 3, pictures) == portions(20, 3, pictures) != portions(20, 4, pictures)


def test_nearly_half_of_all_faults_are_kills_and_none_is_left_out() -> None:
    faults = schedule(700, seed=1)
    kinds = Counter(fault.kind for fault in faults)
    assert kinds[Kind.KILL] == 300
    assert set(kinds) == set(Kind)
    assert min(Counter(fault.name for fault in faults).values()) >= 12
