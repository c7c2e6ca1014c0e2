"""The command `facestream`, as a person types it, and what it prints."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any


class CommandFailed(Exception):
    """A command that was to succeed has not; the text is what it wrote to the standard error."""


@dataclass(frozen=True)
class Ended:
    """How a command that was called in this process ended, and what it printed."""

    code: object
    out: str
    err: str

    def json_lines(self) -> list[Any]:
        """What it printed with --json, provided that it succeeded."""
        return [json.loads(line) for line in self._success().splitlines()]

    def table_rows(self) -> list[list[str]]:
        """The cells of the table that it printed, provided that it succeeded."""
        rows = [line for line in self._success().splitlines() if "│" in line]
        return [[cell.strip() for cell in line.strip("│").split("│")] for line in rows]

    def _success(self) -> str:
        if self.code != 0:
            raise CommandFailed(self.err)
        return self.out


Facestream = Callable[..., Ended]
"""Calls the command with arguments, in this process."""


def facestream(*arguments: object, timeout: float = 300) -> subprocess.CompletedProcess[str]:
    """Run the command in a process of its own, to its end."""
    command = [sys.executable, "-m", "cli.main", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=timeout, check=False)


def facestream_output(*arguments: object) -> str:
    """What the command prints, provided that it succeeds."""
    done = facestream(*arguments)
    if done.returncode != 0:
        raise CommandFailed(done.stderr)
    return done.stdout


def facestream_json(*arguments: object) -> list[Any]:
    """The lines that the command prints with --json, provided that it succeeds."""
    return [json.loads(line) for line in facestream_output(*arguments, "--json").splitlines()]


@dataclass(frozen=True)
class Finished:
    """A run that has ended: its data folder and what `--json` printed."""

    data: Path
    summary: dict[str, Any]
