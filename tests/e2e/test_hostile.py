"""Whatever is put where Facestream reads ends as a dead letter with its reason or is used, and nothing waits for it."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from itertools import groupby
from pathlib import Path

import psutil
from PIL import Image

from producers.files import list_sources
from settings import KafkaSettings
from tests.builders.clock import wait_until
from tests.builders.hostile import EITHER, SKIPPED, USED, Hostile, all_hostile
from tests.builders.kafka import publish_foreign
from tests.builders.system import Running, StartSystem

# So many hostile things, and after them a good scan, which must be analysed without waiting long.
_AT_ONCE = 30
# A photograph such as a camera makes; the small pictures of good scans take next to no time to analyse.
_PHOTOGRAPH, _SMALL = (4000, 3000), (120, 120)
# What a good scan takes on a machine that is busy.
_WITHIN_S = 90.0

Place = tuple[str, int, int]


def test_nothing_hostile_stops_or_slows_the_rest_and_all_of_it_is_told(start: StartSystem, tmp_path: Path) -> None:
    pictures, good = tmp_path / "pictures", tmp_path / "good"
    pictures.mkdir()
    good.mkdir()
    table = all_hostile(pictures)
    assert len(table) >= 200
    places: dict[Place, Hostile] = {}
    with start() as running:
        consumers = running.supervisor.processes
        _analyse(running, good, "before")
        print(f"a good scan by itself: {_analyse(running, good, 'alone'):.1f} s")
        photograph_s = _processor_s(running)
        _analyse(running, good, "photograph", _PHOTOGRAPH)
        photograph_s = _processor_s(running) - photograph_s
        print(f"a photograph: {photograph_s:.1f} s of processor time")
        for number, some in enumerate(_groups(table)):
            used = _processor_s(running)
            places |= publish_all(running.settings.kafka, some)
            took_s = _analyse(running, good, f"probe-{number}")
            used = _processor_s(running) - used
            print(f"{len(some)} hostile, then a good scan: {took_s:.1f} s, {used:.1f} s of processor time")
            # Machines differ, and other tests run meanwhile: all of them together cost less than one photograph does.
            assert used < photograph_s
        running.wait_until_done()
        # None has ended, so none was started again.
        running.supervisor.check()
        assert running.supervisor.processes == consumers
        letters = {
            (topic, partition, offset): reason
            for topic, partition, offset, reason in running.rows(
                'SELECT topic, partition, "offset", reason FROM dead_letters'
            )
        }
    wrong = [
        (hostile.name, hostile.outcome, letters.get(place, USED))
        for place, hostile in places.items()
        if not is_expected(hostile.outcome, letters.get(place))
    ]
    for place, hostile in places.items():
        outcome = f"dead letter | {letters[place][:100]}" if place in letters else "used |"
        print(f"| {hostile.name[:70]} | {outcome} |")
    assert not wrong
    # Only what was hostile is a dead letter, and the one that was forged.
    assert set(letters) - set(places) == {("scans", 2**31 - 1, 2**63 - 1)}


def _groups(table: Sequence[Hostile]) -> Iterator[Sequence[Hostile]]:
    for start in range(0, len(table), _AT_ONCE):
        yield table[start : start + _AT_ONCE]


def is_expected(outcome: str, reason: str | None) -> bool:
    """Whether a dead letter with this reason, or none, is the outcome."""
    if outcome in (USED, SKIPPED, EITHER):
        return reason is None or outcome == EITHER
    return reason is not None and outcome in reason


def publish_all(kafka: KafkaSettings, some: Sequence[Hostile]) -> dict[Place, Hostile]:
    """Write them to their topics; where each of them is."""
    places: dict[Place, Hostile] = {}
    for (topic, compression), group in groupby(some, lambda hostile: (hostile.topic, hostile.compression)):
        hostile = list(group)
        written = publish_foreign(kafka, topic, [one.record for one in hostile], compression)
        places |= dict(zip(written, hostile, strict=True))
    return places


def _analyse(running: Running, folder: Path, name: str, size: tuple[int, int] = _SMALL) -> float:
    """Publish a good scan and wait until the catalogue has its analysis; how many seconds that took."""
    began = time.monotonic()
    path = folder / f"{name}.png"
    Image.new("RGB", size, "gray").save(path)
    running.publish([source for source in list_sources([folder]).sources if source.uri.endswith(f"/{name}.png")])

    def is_analysed() -> bool:
        running.supervisor.check()
        return bool(running.rows(f"SELECT scan_id FROM analyses WHERE scan_id LIKE '%/{name}.png'"))

    wait_until(is_analysed, f"{name} is not analysed", _WITHIN_S)
    return time.monotonic() - began


def _processor_s(running: Running) -> float:
    """The processor time of all consumers and their workers so far."""
    consumers = [psutil.Process(pid) for pid in running.supervisor.processes.values()]
    times = [one.cpu_times() for consumer in consumers for one in (consumer, *consumer.children(recursive=True))]
    return sum(time.user + time.system for time in times)
