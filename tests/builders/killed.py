"""Commands that kill themselves at a certain step, as with kill -9: nothing is cleaned up."""

from __future__ import annotations

import importlib
import os
import signal
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from tests.builders.forked import fork_call

_WITHIN_S = 300.0


class NotKilled(Exception):
    """The command ended before it came to the step; the text is what it printed."""


def kill_at(step: str, arguments: Sequence[object], when: str = "before", calls: int = 1) -> None:
    """Run `facestream` with these arguments until a function is called for the so-manieth time.

    step: `module:function` or `module:class.method`.
    """
    with tempfile.TemporaryDirectory(prefix="facestream-killed-") as folder:
        log = Path(folder) / "log"
        process = fork_call(_run, (step, when, calls, list(map(str, arguments))), os.environ, log)
        process.join(_WITHIN_S)
        is_late = process.exitcode is None
        process.kill()
        process.join()
        if is_late or process.exitcode != -signal.SIGKILL:
            raise NotKilled(f"{process.exitcode}: {log.read_text()}")


def _run(step: str, when: str, calls: int, arguments: list[str]) -> None:
    module, _, path = step.partition(":")
    owner = importlib.import_module(module)
    *classes, name = path.split(".")
    for one in classes:
        owner = getattr(owner, one)
    original, seen = getattr(owner, name), []

    def killing(*positional: object, **named: object) -> object:
        seen.append(name)
        if when == "before" and len(seen) == calls:
            os.kill(os.getpid(), signal.SIGKILL)
        done = original(*positional, **named)
        if when == "after" and len(seen) == calls:
            os.kill(os.getpid(), signal.SIGKILL)
        return done

    setattr(owner, name, killing)
    sys.argv[:] = ["facestream", *arguments]
    importlib.import_module("cli.main").main()
