"""What each fault does to a machine."""

from __future__ import annotations

import os
import random
import shutil
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil

from tests.builders.clock import wait_until
from tests.chaos.machine import Machine, NotThere
from tests.chaos.schedule import Fault, Kind

_FILLER = "filler"
_ROOM_LEFT = 16 * 1024
_LOOK_AGAIN_S = 0.2
_THERE_WITHIN_S = 120.0


class LeftOut(Exception):
    """A fault that cannot be made here, and why."""


def harm(machine: Machine, fault: Fault, disk: Path | None) -> None:
    """Do it, and undo what has to be undone: from then on the system has to recover by itself.

    disk: the small one that can be filled. Raises LeftOut.
    """
    _HARMS[fault.kind](machine, fault, disk)


def _kill(machine: Machine, fault: Fault, _: Path | None) -> None:
    if fault.target == "supervisor":
        machine.end(signal.SIGKILL)
        machine.start()
        return
    with suppress(psutil.NoSuchProcess):
        _found(machine, fault.target).kill()


def _stop(machine: Machine, fault: Fault, _: Path | None) -> None:
    with suppress(psutil.NoSuchProcess), _stopped(_found(machine, fault.target)):
        time.sleep(fault.lasts_s)


@contextmanager
def _stopped(process: psutil.Process) -> Iterator[None]:
    process.suspend()
    try:
        yield
    finally:
        process.resume()


def _cut(machine: Machine, fault: Fault, _: Path | None) -> None:
    """There is a member beside whose connections are cut, and those of the feed."""
    name = "catalogue" if fault.target == "postgres" else "detect"
    if name not in machine.members:
        machine.add_member(name)
    proxy = machine.proxy(fault.target)
    with suppress(TimeoutError):
        wait_until(lambda: proxy.connections, "nothing connects", within_s=30)
    proxy.cut()
    time.sleep(fault.lasts_s)
    proxy.heal()


def _member(machine: Machine, fault: Fault, _: Path | None) -> None:
    if fault.target in machine.members:
        machine.remove_member(fault.target, signal.SIGKILL if fault.chance < 0.5 else signal.SIGTERM)
    else:
        machine.add_member(fault.target)


def _snapshots(machine: Machine, fault: Fault, _: Path | None) -> None:
    """In between the snapshots that a stop in good order has written are deleted or damaged."""
    machine.end(signal.SIGINT)
    chance = random.Random(fault.chance)
    folder = machine.roots.data / "snapshots"
    for path in sorted(folder.rglob("*")):
        if fault.target == "deleted":
            if path.parent == folder:
                shutil.rmtree(path)
        elif path.is_file() and chance.random() < 0.5:
            _damage(path, chance)
    machine.start()


def _damage(path: Path, chance: random.Random) -> None:
    """A file that was cut off, or in which the bytes of one place are others."""
    size = path.stat().st_size
    if chance.random() < 0.5:
        os.truncate(path, size // 2)
        return
    with path.open("r+b") as file:
        file.seek(chance.randrange(max(1, size)))
        file.write(chance.randbytes(16))


def _full(_: Machine, fault: Fault, disk: Path | None) -> None:
    if disk is None:
        raise LeftOut("no file system can be mounted here")
    filler = disk / _FILLER
    try:
        _fill(filler)
        time.sleep(fault.lasts_s)
    finally:
        filler.unlink(missing_ok=True)


def _fill(filler: Path) -> None:
    """Take nine tenths of what is free, and again; others write meanwhile."""
    with filler.open("wb") as file:
        while (free := shutil.disk_usage(filler.parent).free) > _ROOM_LEFT:
            with suppress(OSError):
                os.posix_fallocate(file.fileno(), os.fstat(file.fileno()).st_size, max(_ROOM_LEFT, free * 9 // 10))


_HARMS: dict[Kind, Callable[[Machine, Fault, Path | None], None]] = {
    Kind.KILL: _kill,
    Kind.STOP: _stop,
    Kind.CUT: _cut,
    Kind.MEMBER: _member,
    Kind.SNAPSHOTS: _snapshots,
    Kind.FULL: _full,
}


def _found(machine: Machine, target: str) -> psutil.Process:
    """The process, waited for where a fault before has just ended it. Raises NotThere."""
    deadline = time.monotonic() + _THERE_WITHIN_S
    while True:
        try:
            return machine.process(target)
        except NotThere:
            if time.monotonic() > deadline:
                raise
        time.sleep(_LOOK_AGAIN_S)
