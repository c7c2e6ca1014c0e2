"""`facestream detect|index|cluster|catalogue`: one consumer in this process, until SIGTERM or Ctrl-C.

Each command imports its own consumer: the others would cost it memory and a second of start-up.
"""

from __future__ import annotations

import gc
import os
import re
import signal
import socket
import sys
import threading
from collections.abc import Callable
from contextlib import closing
from datetime import datetime
from functools import partial
from types import FrameType
from typing import Annotated

import structlog
import typer

from cli.common import load_settings, now
from cli.logs import log_to_stderr
from cli.options import Data
from cli.printing import print_line
from cli.signals import set_by_handler
from errors import Fatal, UserError
from local.services import services
from schemas import defaults
from schemas.neighbours import MOST_SHARDS
from settings import KafkaSettings, Settings
from stream.clients import is_answering
from stream.erasures import check_restored
from stream.failures import kafka_errors_are_fatal
from stream.lag import lag_reader
from stream.topics import ensure_topics
from telemetry.server import serving

log = structlog.get_logger()

Member = Annotated[
    str,
    typer.Option(
        default_factory=socket.gethostname,
        help="This member's name in its group, the same after a restart. Each member needs its own.",
        show_default="the host's name",
    ),
]
Generation = Annotated[
    str | None,
    typer.Option(help="That of a generation which was built with `facestream replay`.", show_default="the first one"),
]
MaxRate = Annotated[
    float | None,
    typer.Option(help="With --generation: records a second at most.", min=0.001, show_default="as many as can be"),
]
# A broker that is asked to stop with everything else may miss one question.
_MISSED = 2
_ASK_EVERY_S = 0.5
_ANSWERS_WITHIN_S = 2.0
_FIRST_ROLLED_AFTER_S = 60.0

Run = Callable[[Settings, str, threading.Event, Callable[[], datetime]], None]


def detect(
    member: Member,
    processes: Annotated[
        int | None, typer.Option(help="Worker processes.", show_default="one a core, or one for an accelerator")
    ] = None,
    upsample: Annotated[
        int | None, typer.Option(help="Doublings before detection.", show_default=str(defaults.UPSAMPLE))
    ] = None,
    engine: Annotated[
        str | None, typer.Option(help="onnx (fast) or dlib (the reference).", show_default=defaults.ENGINE)
    ] = None,
    provider: Annotated[
        str | None,
        typer.Option(
            help="Where onnx computes: auto, cpu, cuda, tensorrt or openvino.", show_default=defaults.PROVIDER
        ),
    ] = None,
    generation: Generation = None,
    max_rate: MaxRate = None,
    data: Data = None,
) -> None:
    """Find the faces on each published scan. Start more of it, each with its own --member, to go faster.

    With --generation, the faces that are found are embedded again, by the embedder of that one.
    """
    models = {"processes": processes, "upsample": upsample, "engine": engine, "provider": provider}
    settings = load_settings(data, models=models)
    if generation is not None:
        from cli.generation_consumers import run_detect

        _consume("detect", partial(run_detect, generation=generation, max_rate=max_rate), settings, member)
        return
    from consumers.detect import run

    _refuse_rate(max_rate)
    _consume("detect", run, settings, member)


def index(
    member: Member,
    shard: Annotated[str, typer.Option(help="Which shard of how many this is, from 0: 0/4 to 3/4.")] = "0/1",
    repair: Annotated[
        bool,
        typer.Option(
            "--repair", help="Publish the neighbours of scans that have none, withdraw those of no scan, end."
        ),
    ] = False,
    generation: Generation = None,
    max_rate: MaxRate = None,
    data: Data = None,
) -> None:
    """Find the neighbours of each new face. A second member of a shard stands by."""
    from consumers.index import run
    from stream.generations import group_of as group_of_generation
    from stream.shards import group_of

    if generation is not None:
        from cli.generation_consumers import run_index

        if shard != "0/1":
            raise UserError("the index of a generation has one shard: leave --shard out")
        own = partial(run_index, generation=generation, max_rate=max_rate)
        group = group_of_generation("index", generation)
        _consume("index", partial(_repair, own, group) if repair else own, load_settings(data), member)
        return
    _refuse_rate(max_rate)
    match = re.fullmatch(r"(\d+)/(\d+)", shard)
    if match is None or int(match[1]) >= int(match[2]):
        raise UserError(f"--shard {shard}: give the shard's number, from 0, and how many there are, such as 0/4")
    number, shards = int(match[1]), int(match[2])
    if shards > MOST_SHARDS:
        raise UserError(f"--shard {shard}: there may be {MOST_SHARDS} shards at most")
    own = partial(run, shard=number, shards=shards)
    group = group_of(number, shards)
    _consume("index", partial(_repair, own, group) if repair else own, load_settings(data), member)


def _repair(
    run: Callable[..., None],
    group: str,
    settings: Settings,
    member: str,
    stop: threading.Event,
    clock: Callable[[], datetime],
) -> None:
    """Run this index of a group until `neighbours` has a record of each live analysis, and of nothing else."""
    from consumers.repair import Repair, added_up

    with lag_reader(settings.kafka) as reader:
        if reader.has_members(group, but=member):
            raise UserError("the index consumer is running, or was until a moment ago: stop it, then repair")
    repairs: list[Repair] = []
    run(settings, member, stop, clock, repaired=repairs.append)
    done = added_up(repairs)
    print_line(f"scans without neighbours, published: {len(done.records):,}")
    print_line(f"neighbours without a scan, withdrawn: {len(done.tombstones):,}")


def cluster(
    member: Member,
    generation: Generation = None,
    eps: Annotated[
        float | None,
        typer.Option(
            help="Largest distance of neighbours.",
            show_default=f"{defaults.CALIBRATED_EPS}, or {defaults.EPS} by Euclidean distance",
        ),
    ] = None,
    min_samples: Annotated[
        int | None, typer.Option(help="Neighbours that make a core.", show_default=str(defaults.MIN_SAMPLES))
    ] = None,
    max_rate: MaxRate = None,
    data: Data = None,
) -> None:
    """Keep all faces clustered. A second member stands by."""
    from cli.generation_consumers import run_clusterer, run_first_clusterer

    settings = load_settings(data, clustering={"eps": eps, "min_samples": min_samples})
    if generation is None:
        _refuse_rate(max_rate)
        _consume("cluster", run_first_clusterer, settings, member)
        return
    if eps is not None or min_samples is not None:
        raise UserError(f"the generation {generation} has its parameters: replay into another one to have others")
    run = partial(run_clusterer, generation=generation, max_rate=max_rate)
    _consume("cluster", run, settings, member)


def catalogue(member: Member, generation: Generation = None, data: Data = None) -> None:
    """Write everything into PostgreSQL; with --generation, the clusters of that one."""
    from cli.generation_consumers import run_catalogue

    run_generation = partial(run_catalogue, generation=generation)

    def run_and_roll(settings: Settings, member: str, stop: threading.Event, clock: Callable[[], datetime]) -> None:
        # This one runs wherever there is an archive, and is in every archive once.
        threading.Thread(target=_close_segments, args=(settings.kafka, stop), daemon=True).start()
        run_generation(settings, member, stop, clock)

    _consume("catalogue", run_and_roll if generation is None else run_generation, load_settings(data), member)


def _close_segments(kafka: KafkaSettings, stop: threading.Event) -> None:
    """Close old segments of the compacted topics again and again, so that a quiet topic is compacted as well.

    Those of generations too, which come and go.
    """
    from kafka.errors import KafkaError

    from stream import clients
    from stream.generations import known_topics
    from stream.rolling import roll, rolled_every_s

    # Also where an archive never runs for long.
    wait_s = _FIRST_ROLLED_AFTER_S
    while not stop.wait(wait_s):
        wait_s = rolled_every_s(kafka)
        try:
            with closing(clients.admin(kafka)) as admin:
                topics = known_topics(kafka, admin)
            roll(kafka, [topic for topic in topics if topic.retention is None])
        except (KafkaError, Fatal) as error:
            log.warning("no segments are closed", reason=type(error).__name__)


def _refuse_rate(max_rate: float | None) -> None:
    if max_rate is not None:
        raise UserError("--max-rate is for a generation that is built beside the others: give --generation too")


def _consume(name: str, run: Run, settings: Settings, member: str) -> None:
    log_to_stderr(clients=True)
    # A batch creates ten thousands of objects without reference cycles. With the default threshold of 700 objects,
    # the search for cycles takes a third of the time of decoding and encoding.
    gc.set_threshold(100_000)
    stop = threading.Event()

    def handle(_signal: int, _frame: FrameType | None) -> None:
        set_by_handler(stop)

    signal.signal(signal.SIGTERM, handle)
    signal.signal(signal.SIGINT, handle)
    with (
        serving(settings.metrics),
        services(settings, database=name == "catalogue", command=name) as running,
        kafka_errors_are_fatal(running.kafka, name, member),
    ):
        for line in ensure_topics(running.kafka):
            log.warning(line)
        check_restored(running)
        ended = threading.Event()
        watcher = threading.Thread(target=_end_without_broker, args=(name, running.kafka, stop, ended), daemon=True)
        watcher.start()
        try:
            run(running, member, stop, now)
        finally:
            ended.set()


def _end_without_broker(name: str, kafka: KafkaSettings, stop: threading.Event, ended: threading.Event) -> None:
    """Once `stop` is set, end this process if the broker does not answer, and the consumer has not ended.

    Whatever is under way then, such as a commit, waits for the broker, for minutes if need be, and cannot be called
    off. Nothing is lost by ending: a consumer that is killed goes on from its last commit.
    """
    stop.wait()
    missed = 0
    while missed < _MISSED:
        if ended.wait(_ASK_EVERY_S):
            return
        missed = 0 if is_answering(kafka, within_s=_ANSWERS_WITHIN_S) else missed + 1
    line = f"the Kafka broker at {kafka.bootstrap_servers} does not answer: {name} ends where it is"
    print(f"facestream: {line}", file=sys.stderr, flush=True)  # noqa: T201 - as every error of a command
    os._exit(1)
