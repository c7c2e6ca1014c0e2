"""What the commands share."""

from __future__ import annotations

import io

import pytest
import structlog

from cli.common import log_to_stderr


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
