"""What processes that may end at any moment are."""

from __future__ import annotations

import psutil


def command_of(process: psutil.Process) -> str:
    """The command line of a process; empty where it has ended, also where it is a zombie still."""
    try:
        return " ".join(process.cmdline())
    except psutil.NoSuchProcess:
        return ""
