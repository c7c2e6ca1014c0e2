"""How fast faces are clustered as they are added and withdrawn: `python -m benchmarks.clustering --faces 100000`.

First the index and the clustering without Kafka (in_process.py), then other implementations on as many faces as they
can handle (peers.py), then both consumers through Kafka (through_kafka.py).
"""

from __future__ import annotations

import argparse
import gc
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from benchmarks import in_process, peers, through_kafka
from benchmarks.archive import DEFAULT_WORLD, Archive
from benchmarks.measurement import Curves, Row, print_json, print_table
from benchmarks.parameters import INDEX, by_default
from benchmarks.world import WORLDS

# Of a backlog `cluster` takes so many at once: 1,024 scans of two faces.
_BATCH = 2_048
_SECTIONS = ("in-process", "peers", "kafka")


class Benchmark:
    """The chosen sections, one after the other."""

    def __init__(self, faces: int, batch: int, m: int, world: str, quick: bool, sections: list[str]) -> None:
        """`m`: HNSW's links per node, in one process. `quick`: few faces, so that all takes a minute."""
        self.curves: Curves = {}
        self._faces = faces
        self._batch = batch
        self._m = m
        self._world = world
        self._quick = quick
        self._sections = sections

    def rows(self) -> Iterator[Row]:
        """All measurements, as they are made."""
        if "in-process" in self._sections:
            archive = Archive(20_000 if self._quick else self._faces, world=self._world)
            rule = by_default(archive)
            rule = replace(rule, index=replace(rule.index, m=self._m))
            stream = in_process.Stream(archive, self._batch, rule)
            yield from in_process.measure(stream)
            self.curves = stream.curves()
            del stream
            gc.collect()
            yield in_process.one_person(2_000 if self._quick else 10_000)
        if "peers" in self._sections:
            yield from peers.measure(*(5_000, 500) if self._quick else (50_000, 5_000))
        if "kafka" in self._sections:
            with tempfile.TemporaryDirectory(prefix="facestream-") as folder:
                yield from through_kafka.measure(
                    Archive(20_000 if self._quick else self._faces, world=self._world), self._batch, Path(folder)
                )


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.clustering", description=__doc__.partition("\n")[0])
    parser.add_argument("--faces", type=int, default=100_000, help="up to 1,000,000 (100,000)")
    parser.add_argument("--batch", type=int, default=_BATCH, help=f"faces per batch ({_BATCH})")
    parser.add_argument("--m", type=int, default=INDEX.m, help=f"HNSW's links per node, in one process ({INDEX.m})")
    worlds = sorted(path.stem for path in WORLDS.glob("*.npz"))
    parser.add_argument("--world", choices=worlds, default=DEFAULT_WORLD, help=f"whose faces ({DEFAULT_WORLD})")
    parser.add_argument("--only", choices=_SECTIONS, help="one section")
    parser.add_argument("--quick", action="store_true", help="few faces: under a minute")
    parser.add_argument("--json", action="store_true", help="print JSON, one row per line")
    arguments = parser.parse_args()
    gc.set_threshold(100_000)  # as the consumers do (cli/consume.py)
    sections = [arguments.only] if arguments.only else list(_SECTIONS)
    benchmark = Benchmark(arguments.faces, arguments.batch, arguments.m, arguments.world, arguments.quick, sections)
    if arguments.json:
        print_json(benchmark.rows())
    else:
        print_table(benchmark.rows(), lambda: benchmark.curves)


if __name__ == "__main__":
    main()
