"""The consumers as child processes: started, restarted when they end, and stopped."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import structlog
from pydantic import SecretStr

from errors import UserError
from local import child
from local.child import Child
from settings import Settings
from stream.transform import TAKING_PART

log = structlog.get_logger()

CONSUMERS = ("detect", "index", "cluster", "catalogue")

# Those that may publish something before they read, such as what other settings change: a lag of 0 does not show that.
_PUBLISH_ON_START = ("index", "cluster")

_RESTARTS = 5
_RESTARTS_WITHIN_S = 60.0
_STOP_S = 60.0


class Supervisor:
    """Runs the consumers as children of this process. A context manager, which stops them at its end."""

    def __init__(self, settings: Settings) -> None:
        self._environment = os.environ | as_environment(settings)
        self._logs = settings.data / "logs"
        self._children: dict[str, Child] = {}
        self._restarts: dict[str, list[float]] = {name: [] for name in CONSUMERS}

    def __enter__(self) -> Self:
        self._logs.mkdir(parents=True, exist_ok=True)
        for name in CONSUMERS:
            self._start(name)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        # All are signalled first, so that they finish in parallel.
        for running in self._children.values():
            if running.process.poll() is None:
                running.process.send_signal(running.stop_signal)
        deadline = time.monotonic() + _STOP_S
        for running in self._children.values():
            running.stop(within=max(1.0, deadline - time.monotonic()))

    @property
    def processes(self) -> dict[str, int]:
        """The process id of each consumer."""
        return {name: running.process.pid for name, running in self._children.items()}

    @property
    def starting(self) -> tuple[str, ...]:
        """The consumers that may still publish something before they read the next record."""
        children = ((name, self._children[name]) for name in _PUBLISH_ON_START)
        return tuple(name for name, running in children if not running.has_logged(TAKING_PART))

    def check(self) -> None:
        """Restart consumers that have ended. Raises UserError when one ends again and again."""
        for name, running in self._children.items():
            code = running.process.poll()
            if code is None:
                continue
            now = time.monotonic()
            recent = [restart for restart in self._restarts[name] if now - restart < _RESTARTS_WITHIN_S]
            if len(recent) == _RESTARTS:
                reason = child.last_error_line(running.log, running.log_start)
                raise UserError(f"{name} ends again and again (exit code {code}): {reason} (its log is {running.log})")
            self._restarts[name] = [*recent, now]
            log.warning("restarted", consumer=name, exit_code=code)
            self._start(name)

    def _start(self, name: str) -> None:
        command = [sys.executable, "-m", "cli.main", name, "--member", "0"]
        self._children[name] = child.start(
            name, command, folder=Path.cwd(), log=self._logs / f"{name}.log", environment=self._environment
        )


def as_environment(settings: Settings) -> dict[str, str]:
    """The environment variables that yield the same settings."""
    variables: dict[str, str] = {}

    def add(name: str, value: Any) -> None:  # noqa: ANN401
        if isinstance(value, Mapping):
            for field_name, field_value in value.items():
                add(f"{name}__{field_name.upper()}", field_value)
        elif isinstance(value, list | tuple):
            variables[name] = json.dumps(value, default=str)
        elif isinstance(value, SecretStr):
            variables[name] = value.get_secret_value()
        elif value is not None:
            variables[name] = str(value)

    for group, value in settings.model_dump().items():
        add(f"FACESTREAM_{group.upper()}", value)
    return variables
