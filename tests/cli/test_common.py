"""What the commands share."""

from __future__ import annotations

import io
import sys
from pathlib import Path

import pytest
import structlog

from cli.common import load_settings
from cli.logs import log_to_stderr
from cli.main import main
from errors import UserError


def test_log_lines_go_to_the_standard_error_there_is_not_to_one_that_was_closed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    log = structlog.get_logger()
    log_to_stderr()
    for number in range(2):
        stream = io.StringIO()
        monkeypatch.setattr("sys.stderr", stream)
        log.warning("restarted", number=number)
        assert f'"number": {number}' in stream.getvalue()
        stream.close()


def test_a_wrong_option_is_named_as_it_was_typed() -> None:
    with pytest.raises(UserError, match=r"^--eps: Input should be greater than 0, not -1\.0$"):
        load_settings(clustering={"eps": -1.0})


def test_a_wrong_setting_is_named_as_it_was_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FACESTREAM_MODELS__MAX_SIZE", "12")
    with pytest.raises(UserError, match=r"^FACESTREAM_MODELS__MAX_SIZE: Input should be .* 80, not '12'$"):
        load_settings(clustering={"eps": 0.4})


def test_a_group_of_settings_that_is_not_json_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FACESTREAM_KAFKA", "{broker")
    with pytest.raises(UserError, match=r"^FACESTREAM_KAFKA: not JSON"):
        load_settings()


@pytest.mark.parametrize("command", [["clusters"], ["status"], ["withdraw", "scan"], ["label", "face", "Ada"]])
def test_a_folder_without_an_archive_is_refused_and_none_is_created_there(
    command: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "mistyped"
    monkeypatch.setattr(sys, "argv", ["facestream", *command, "--data", str(folder)])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 1
    assert capsys.readouterr().err.startswith(f"facestream: no archive in {folder}: name its folder with --data")
    assert not folder.exists()
