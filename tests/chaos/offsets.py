"""What the groups have committed, looked at after each fault: it never goes back."""

from __future__ import annotations

import shutil
from contextlib import suppress

from kafka.errors import KafkaError

from errors import Fatal
from stream.lag import lag_reader
from stream.records import Positions
from stream.stages import STAGES
from tests.chaos.machine import Machine


class CommittedOffsets:
    """Those of all groups, as they were seen last."""

    def __init__(self, machine: Machine) -> None:
        """`machine` has started."""
        self._machine = machine
        self._seen: dict[str, Positions] = {}

    def look(self, after: str) -> list[str]:
        """A line for each group whose offsets are lower than before; the logs of that moment are kept then.

        Nothing where the broker is away.
        """
        problems = []
        with suppress(KafkaError, Fatal), lag_reader(self._machine.kafka) as reader:
            for group in STAGES:
                now = reader.positions(group)
                for partition, before in self._seen.get(group, {}).items():
                    if (offset := now.get(partition, 0)) < before:
                        place = f"{partition[0]} {partition[1]}"
                        problems.append(f"{group} went back from {before} to {offset} of {place} after {after}")
                self._seen[group] = now
        if problems:
            self._keep_logs(after)
        return problems

    def _keep_logs(self, after: str) -> None:
        data = self._machine.roots.data
        folder = self._machine.logs / after.replace(":", "").replace(" ", "-")
        shutil.copytree(data / "logs", folder / "logs", dirs_exist_ok=True)
        for path in [*(data / "kafka").glob("*.log"), *(data / "kafka").glob("*/*checkpoint*")]:
            shutil.copy(path, folder)
        for partition in (data / "kafka").glob("*/__consumer_offsets-*"):
            shutil.copytree(partition, folder / partition.name, dirs_exist_ok=True)
