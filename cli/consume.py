"""`facestream detect|index|cluster|catalogue`: one consumer in this process, until SIGTERM or Ctrl-C.

Each command imports its own consumer: the others would cost it memory and a second of start-up.
"""

from __future__ import annotations

import gc
import re
import signal
import socket
import threading
from collections.abc import Callable
from datetime import datetime
from functools import partial
from types import FrameType
from typing import Annotated, Any

import typer

from cli.common import load_settings, now
from cli.logs import log_to_stderr
from cli.options import Data
from errors import UserError
from local.services import services
from schemas import defaults
from settings import Settings
from stream.topics import ensure_topics

Member = Annotated[
    str,
    typer.Option(
        default_factory=socket.gethostname,
        help="This member's name in its group, the same after a restart. Each member needs its own.",
        show_default="the host's name",
    ),
]
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
    data: Data = None,
) -> None:
    """Find the faces on each published scan. Start more of it, each with its own --member, to go faster."""
    from consumers.detect import run

    models = {"processes": processes, "upsample": upsample, "engine": engine, "provider": provider}
    settings = load_settings(data, models=models)
    _consume("detect", run, settings, member)


def index(
    member: Member,
    shard: Annotated[str, typer.Option(help="Which shard of how many this is, from 0: 0/4 to 3/4.")] = "0/1",
    data: Data = None,
) -> None:
    """Find the neighbours of each new face. A second member of a shard stands by."""
    from consumers.index import run

    match = re.fullmatch(r"(\d+)/(\d+)", shard)
    if match is None or int(match[1]) >= int(match[2]):
        raise UserError(f"--shard {shard}: give the shard's number, from 0, and how many there are, such as 0/4")
    sharded = partial(run, shard=int(match[1]), shards=int(match[2]))
    _consume("index", sharded, load_settings(data), member)


def cluster(
    member: Member,
    generation: Annotated[
        str | None,
        typer.Option(help="Write to topics of this generation, beside the live ones.", show_default="the live one"),
    ] = None,
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
    data: Data = None,
) -> None:
    """Keep all faces clustered. A second member stands by."""
    from consumers.cluster import run

    settings = load_settings(data, clustering={"eps": eps, "min_samples": min_samples})
    _consume("cluster", partial(run, generation=generation), settings, member)


def catalogue(member: Member, data: Data = None) -> None:
    """Write everything into PostgreSQL."""
    from consumers.catalogue import run

    _consume("catalogue", run, load_settings(data), member)


def _consume(name: str, run: Run, settings: Settings, member: str) -> None:
    log_to_stderr()
    # A batch creates ten thousands of objects without reference cycles. With the default threshold of 700 objects,
    # the search for cycles takes a third of the time of decoding and encoding.
    gc.set_threshold(100_000)
    stop = threading.Event()

    def handle(_signal: int, _frame: FrameType | None) -> Any:  # noqa: ANN401
        stop.set()

    signal.signal(signal.SIGTERM, handle)
    signal.signal(signal.SIGINT, handle)
    with services(settings, database=name == "catalogue", command=name) as running:
        ensure_topics(running.kafka)
        run(running, member, stop, now)
