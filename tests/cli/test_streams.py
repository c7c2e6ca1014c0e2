"""Commands whose output cannot be written or shown, or whose surroundings are not usual: one line, the right status."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from settings import DatabaseSettings
from tests.builders.catalogue import WriteMessages, analysed, assigned, face, published

pytestmark = pytest.mark.process

_ROOT = Path(__file__).parents[2]
# More than a pipe holds.
_FACES = 600


@pytest.fixture
def environment(database: DatabaseSettings, write: WriteMessages) -> dict[str, str]:
    """Of commands on a catalogue of many clusters, on scans with a letter that is not ASCII."""
    scans = {f"f{number}": f"õ{number}.jpg" for number in range(_FACES)}
    write("scans", *(published(scan, f"file:///{'x' * 100}/{name}.jpg") for name, scan in scans.items()))
    write("faces", *(analysed(scan, face(name)) for name, scan in scans.items()))
    write("assignments", *(assigned(name, scan, name) for name, scan in scans.items()))
    return os.environ | {"FACESTREAM_DATABASE__URL": str(database.url), "PYTHONPATH": str(_ROOT)}


def in_shell(line: str, environment: dict[str, str], cwd: Path = _ROOT) -> tuple[int, str, str]:
    """The status, output and standard error of a line of bash, in which $F is the command."""
    done = subprocess.run(
        ["bash", "-c", line],
        env=environment | {"F": f"{sys.executable} -m cli.main"},
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    return done.returncode, done.stdout, done.stderr


def test_a_reader_that_goes_and_a_full_or_closed_output_end_a_command_without_a_traceback(
    environment: dict[str, str],
) -> None:
    status, out, err = in_shell("$F clusters --limit 9999 --json | head -1; exit ${PIPESTATUS[0]}", environment)
    assert (status, len(out.splitlines()), err) == (141, 1, "")
    status, _, err = in_shell("$F clusters | true; exit ${PIPESTATUS[0]}", environment)
    assert (status, err) == (141, "")
    for command in ("clusters", "show f1 --json", "--help"):
        status, _, err = in_shell(f"$F {command} > /dev/full", environment)
        assert (status, err) == (1, "facestream: the output cannot be written: No space left on device\n")
    status, _, err = in_shell("$F clusters >&-", environment)
    assert (status, err) == (1, "facestream: the output cannot be written: Bad file descriptor\n")


def test_what_cannot_be_told_on_the_standard_error_changes_nothing(environment: dict[str, str]) -> None:
    for error in ("2>&-", "2> /dev/full"):
        status, out, _ = in_shell(f"$F clusters --limit 1 --json {error}", environment)
        assert (status, json.loads(out)["size"]) == (0, 1)
        assert in_shell(f"$F show nobody {error}", environment)[0] == 1


def test_letters_that_the_terminal_lacks_are_escapes_and_paths_with_them_are_found(
    environment: dict[str, str], tmp_path: Path
) -> None:
    without_services = {name: value for name, value in environment.items() if not name.startswith("FACESTREAM_")}
    not_utf_8 = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    for unusual, shown in (({"LC_ALL": "POSIX"}, "õ"), (not_utf_8, "\\xf5")):
        status, out, err = in_shell("$F show f1", environment | unusual)
        assert (status, err) == (0, "")
        assert f"{shown}1.jpg" in out
        status, _, err = in_shell("$F clusters --data nõmm", without_services | unusual, tmp_path)
        assert (status, err.count("\n")) == (1, 1)
        if unusual == not_utf_8:
            assert err.endswith("rename the folder, or set LC_ALL=C.UTF-8\n")
        else:
            assert err.startswith("facestream: no archive in nõmm: ")
    status, _, err = in_shell("$F clusters --data $'n\\xf5mm'", without_services, tmp_path)
    assert status == 1
    assert err.startswith("facestream: the name of the folder n\\xf5mm is not UTF-8, or the locale is not: ")


def test_without_a_home_that_can_be_written_a_command_works_or_says_what_it_needs(
    environment: dict[str, str], tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    without = {name: value for name, value in environment.items() if not name.startswith("XDG_")}
    assert in_shell("$F clusters --limit 1", without | {"HOME": "/dev/null"})[0] == 0
    command = f"$F detect --member 0 --data {tmp_path / 'data'}"
    status, _, err = in_shell(command, without | {"HOME": str(tmp_path / "file")})
    assert status == 1
    assert err == (
        f"facestream: {tmp_path / 'file'}/.cache/facestream, which the embedded Kafka is fetched into, cannot be used "
        "(Not a directory): name another folder in XDG_CACHE_HOME\n"
    )
