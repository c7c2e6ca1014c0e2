"""A chaos run: the same inputs once undisturbed and once under faults, and whether both come to the same."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

import psycopg
from kafka.errors import KafkaError

from errors import Fatal
from settings import DatabaseSettings
from stream.lag import lag_reader
from stream.stages import STAGES
from tests.chaos.faults import LeftOut, harm
from tests.chaos.feeder import Feeder
from tests.chaos.inputs import Pictures, Portion, make_pictures, portions, probe, probed
from tests.chaos.machine import DoesNotEnd, Machine, NotThere, Roots, left_over, small_disk
from tests.chaos.offsets import CommittedOffsets
from tests.chaos.schedule import Fault, schedule
from tests.chaos.state import State, differences, state_of

_RECOVERED_WITHIN_S = 300.0
_DONE_WITHIN_S = 600.0
_LOOK_EVERY_S = 0.1
_AWAY = (KafkaError, Fatal, psycopg.OperationalError, psycopg.InterfaceError)


@dataclass(frozen=True)
class Recovery:
    """A fault, and how long after its end the tables had what was published right after it.

    seconds: None where the next fault did not wait for that. left_out: why there was no fault.
    """

    fault: Fault
    seconds: float | None
    left_out: str | None = None


@dataclass(frozen=True)
class Result:
    """recoveries: of all faults. problems: what is wrong in the end; none if the run went well."""

    seed: int
    recoveries: list[Recovery]
    problems: list[str]
    seconds: float
    rows: dict[str, int] = field(default_factory=dict)


def chaos(folder: Path, faults: int, seed: int, report: Callable[[str], None], *, only_kills: bool = False) -> Result:
    """Run it in this folder, which is left as it ends. report: is called with a line for each thing that happens."""
    began = time.monotonic()
    pictures = make_pictures(folder / "pictures")
    planned = schedule(faults, seed, only_kills=only_kills)
    fed = [*portions(faults + 1, seed, pictures)]
    report("the same inputs without faults, to compare with")
    expected = _undisturbed(folder / "undisturbed", fed, faults, pictures)
    with ExitStack() as stack:
        disk = folder / "disk"
        is_small = stack.enter_context(small_disk(disk))
        roots = Roots(disk / "data", folder / "chaos" / "incoming", folder / "pictures")
        machine = stack.enter_context(Machine(roots, folder / "chaos" / "logs"))
        run = _Run(machine, pictures, disk if is_small else None, report)
        recoveries = run.through(planned, fed)
        found = run.end()
        problems = [
            *(f"undisturbed: {problem}" for problem in expected.problems),
            *found.problems,
            *differences(found, expected),
            *machine.unexpected_lines(),
            *run.problems,
        ]
        machine.close()
        problems += left_over(roots.data)
    rows = {name: len(rows) for name, rows in found.tables.items()}
    return Result(seed, recoveries, problems, time.monotonic() - began, rows)


def _undisturbed(folder: Path, fed: Sequence[Portion], faults: int, pictures: Pictures) -> State:
    roots = Roots(folder / "data", folder / "incoming", folder.parent / "pictures")
    with Machine(roots, folder / "logs") as machine:
        with Feeder(machine.kafka, roots.incoming) as feeder:
            for portion in (*fed, *(Portion(probe(number, pictures)) for number in range(faults + 1))):
                feeder.put(portion)
        return _final_state(machine, fed)


class _Run:
    def __init__(self, machine: Machine, pictures: Pictures, disk: Path | None, report: Callable[[str], None]) -> None:
        self._machine = machine
        self._pictures = pictures
        self._disk = disk
        self._report = report
        self._fed: Sequence[Portion] = ()
        self._feeder = Feeder(machine.proxied_kafka, machine.roots.incoming)
        self._committed = CommittedOffsets(machine)
        self.problems: list[str] = []

    def through(self, planned: Sequence[Fault], fed: Sequence[Portion]) -> list[Recovery]:
        """Feed a portion for each fault, and one more."""
        self._fed = fed
        with self._feeder as feeder, _Watcher(self._machine.database) as watcher:
            recoveries = []
            for number, (fault, portion) in enumerate(zip(planned, fed, strict=False)):
                feeder.put(portion)
                time.sleep(fault.after_s)
                recoveries.append(self._recovery(number, fault, watcher))
                if recoveries[-1].seconds is not None:
                    self.problems += self._committed.look(f"fault {number + 1}")
                self._report(f"{number + 1}/{len(planned)} {_line(recoveries[-1])}")
            feeder.put(fed[-1])
            feeder.put(Portion(probe(len(planned), self._pictures)))
        return recoveries

    def end(self) -> State:
        """Wait until all is processed, and read what it came to."""
        return _final_state(self._machine, self._fed)

    def _recovery(self, number: int, fault: Fault, watcher: _Watcher) -> Recovery:
        left_out = None
        self._keep()
        try:
            harm(self._machine, fault, self._disk)
        except LeftOut as error:
            left_out = str(error)
        except NotThere as error:
            left_out = f"{error} was not running"
        except DoesNotEnd as error:
            self.problems.append(f"{error} did not end in good order, at fault {number + 1}")
            if not self._machine.is_started:
                self._machine.start()
        ended = time.monotonic()
        self._feeder.put(Portion(probe(number, self._pictures)))
        if not fault.settles:
            return Recovery(fault, None, left_out)
        while not watcher.has(*probed(number)):
            self._keep()
            if time.monotonic() > ended + _RECOVERED_WITHIN_S:
                self.problems.append(f"not recovered from {fault} within {_RECOVERED_WITHIN_S:.0f} s")
                return Recovery(fault, None, left_out)
            time.sleep(_LOOK_EVERY_S)
        return Recovery(fault, time.monotonic() - ended, left_out)

    def _keep(self) -> None:
        """Do what a service manager does: start again what has ended. `watch` never should."""
        self._machine.keep_members()
        if self._machine.has_ended:
            self.problems.append(f"facestream watch ended by itself: {self._machine.last_line}")
            self._report(self.problems[-1])
            self._machine.start()


class _Watcher:
    """Looks into the tables, whatever becomes of its connection."""

    def __init__(self, database: DatabaseSettings) -> None:
        self._database = database
        self._connection: psycopg.Connection | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._connection is not None:
            self._connection.close()

    def has(self, scan_id: str, face_id: str) -> bool:
        """Whether the scan is analysed and the face is assigned."""
        try:
            if self._connection is None:
                self._connection = psycopg.connect(str(self._database.url), autocommit=True, connect_timeout=3)
            row = self._connection.execute(
                "SELECT EXISTS (SELECT FROM analyses WHERE scan_id = %s) "
                "AND EXISTS (SELECT FROM assignments WHERE face_id = %s)",
                (scan_id, face_id),
            ).fetchone()
        except (psycopg.OperationalError, psycopg.InterfaceError):
            self._connection = None
            return False
        return bool(row and row[0])


def _final_state(machine: Machine, fed: Sequence[Portion]) -> State:
    """Once everything is processed: what was put into the folder published, and all lags 0."""
    watched = sum(portion.watched is not None for portion in fed)
    deadline = time.monotonic() + _DONE_WITHIN_S
    while True:
        with suppress(*_AWAY), psycopg.connect(str(machine.database.url), autocommit=True) as connection:
            if _is_done(machine, connection, watched):
                return state_of(machine.settings, connection)
        if time.monotonic() > deadline:
            raise TimeoutError(f"not done within {_DONE_WITHIN_S:.0f} s after the last fault")
        machine.keep_members()
        time.sleep(0.5)


def _is_done(machine: Machine, connection: psycopg.Connection, watched: int) -> bool:
    row = connection.execute(
        "SELECT count(*) FROM scans WHERE scan_id NOT LIKE 'probe/%%' AND scan_id NOT LIKE 'photograph/%%'"
    ).fetchone()
    if row is None or row[0] < watched:
        return False
    with lag_reader(machine.kafka) as reader:
        return not any(reader.lags(STAGES).values())


def _line(recovery: Recovery) -> str:
    fault = recovery.fault
    lasting = f" for {fault.lasts_s:.1f} s" if fault.lasts_s else ""
    if recovery.left_out:
        return f"{fault.name}{lasting}: {recovery.left_out}"
    how = "the next one follows" if recovery.seconds is None else f"recovered after {recovery.seconds:.1f} s"
    return f"{fault.name}{lasting}: {how}"
