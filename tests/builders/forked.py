"""Processes of the project, forked from one that has imported it: for tests that kill and start them time and again.

A start takes half of the processor time of a new interpreter's. All else is as with `python -m`.
"""

from __future__ import annotations

import multiprocessing
import os
import runpy
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from multiprocessing import forkserver
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import Any

_CONTEXT = multiprocessing.get_context("forkserver")
_CONTEXT.set_forkserver_preload(["cli.main", "cli.consume", "consumers.index", "consumers.cluster"])


def fork(module: str, arguments: list[str], environment: Mapping[str, str], log: Path) -> ForkServerProcess:
    """Run `python -m module arguments` with this environment alone; what it prints is appended to the log."""
    return fork_call(_run_module, (module, arguments), environment, log)


def fork_call(
    function: Callable[..., None], arguments: Sequence[object], environment: Mapping[str, str], log: Path
) -> ForkServerProcess:
    """Call a function in the same way."""
    process = _CONTEXT.Process(target=_run, args=(function, arguments, dict(environment), log))
    process.start()
    return process


@contextmanager
def forking() -> Iterator[None]:
    """End the process that others are forked from, if there is one by then.

    Its socket is in a folder that is temporary as all others are, and not one that Python removes when it exits: by
    then the tests have removed it.
    """
    process: Any = multiprocessing.current_process()
    process._config.setdefault("tempdir", tempfile.mkdtemp(prefix="forked-"))
    yield
    server: Any = forkserver._forkserver
    server._stop()


def _run(function: Callable[..., None], arguments: Sequence[object], environment: dict[str, str], log: Path) -> None:
    printed = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    for stream in (1, 2):
        os.dup2(printed, stream)
    os.environ.clear()
    os.environ.update(environment)
    function(*arguments)


def _run_module(module: str, arguments: list[str]) -> None:
    sys.argv = [module, *arguments]
    runpy.run_module(module, run_name="__main__", alter_sys=True)
