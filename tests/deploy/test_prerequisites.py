"""What is printed on a machine that lacks something."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

_SCRIPT = Path(__file__).parents[2] / "deploy" / "prerequisites.sh"


@pytest.fixture
def bare(tmp_path: Path) -> Path:
    """A PATH with nothing on it but what the script itself is made of, and a user who is not root."""
    for tool in ("sed",):
        found = shutil.which(tool)
        assert found
        (tmp_path / tool).symlink_to(found)
    program(tmp_path / "id", "echo 1000")
    return tmp_path


def program(path: Path, text: str) -> None:
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)


def run_script(path: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["/bin/sh", str(_SCRIPT), *arguments],
        env={"PATH": str(path)} | environment,
        capture_output=True,
        text=True,
        check=False,
    )


def test_everything_that_is_missing_is_named_in_one_line_with_the_command_that_installs_it(bare: Path) -> None:
    done = run_script(bare)
    assert done.returncode == 1
    assert done.stderr == (
        "facestream: missing: Python 3.11 or newer (or PYTHON=/path/to/one), a C++ compiler, "
        "a Java runtime 17 or newer, Maven. On Debian: sudo apt-get install "
        "python3 python3-venv python3-dev g++ default-jre-headless maven\n"
    )


def test_where_a_broker_is_named_no_java_is_asked_for(bare: Path) -> None:
    done = run_script(bare, PYTHON=sys.executable, FACESTREAM_KAFKA__BOOTSTRAP_SERVERS="broker.example:9092")
    assert done.stderr == "facestream: missing: a C++ compiler. On Debian: sudo apt-get install g++\n"


def test_a_java_that_is_too_old_is_not_enough(bare: Path) -> None:
    for tool in ("c++", "mvn"):
        program(bare / tool, "exit 0")
    program(bare / "java", """echo 'openjdk version "11.0.22" 2024-01-16' >&2""")
    done = run_script(bare, PYTHON=sys.executable)
    assert done.stderr == (
        "facestream: missing: a Java runtime 17 or newer. On Debian: sudo apt-get install default-jre-headless\n"
    )
    program(bare / "java", """echo 'openjdk version "21.0.2" 2024-01-16' >&2""")
    assert run_script(bare, PYTHON=sys.executable).returncode == 0


def test_a_missing_browser_is_an_error_in_ci_and_a_notice_elsewhere(bare: Path) -> None:
    elsewhere = run_script(bare, "browser")
    assert elsewhere.returncode == 0
    assert elsewhere.stderr == (
        "facestream: no Chromium, so the tests of the desk are skipped. On Debian: sudo apt-get install chromium\n"
    )
    in_ci = run_script(bare, "browser", CI="true")
    assert in_ci.returncode == 1
    assert in_ci.stderr == "facestream: missing: Chromium. On Debian: sudo apt-get install chromium\n"
    program(bare / "chromium", "exit 0")
    assert run_script(bare, "browser", CI="true").stderr == ""


def test_missing_tools_of_the_contract_are_an_error_in_ci_and_a_notice_elsewhere(bare: Path) -> None:
    program(bare / "npm", "exit 0")
    elsewhere = run_script(bare, "tools")
    assert elsewhere.returncode == 0
    assert elsewhere.stderr == (
        "facestream: missing: kcat, so tests of the contract are skipped. On Debian: sudo apt-get install kcat\n"
    )
    in_ci = run_script(bare, "tools", CI="true")
    assert in_ci.returncode == 1
    assert in_ci.stderr == "facestream: missing: kcat. On Debian: sudo apt-get install kcat\n"
    program(bare / "kcat", "exit 0")
    assert run_script(bare, "tools", CI="true").stderr == ""
