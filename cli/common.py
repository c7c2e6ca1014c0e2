"""What the commands share: settings with the command's options, logging, the clock, and errors as one line."""

from __future__ import annotations

import logging
import sys
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import structlog
import typer
from pydantic import ValidationError
from rich.console import Console

from errors import UserError
from local.services import services
from settings import Settings

Data = Annotated[
    Path | None,
    typer.Option("--data", help="Folder of the embedded Kafka and PostgreSQL.", show_default="./data"),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON, one object a line.")]

console = Console()
"""What a person reads: tables and bars."""

errors = Console(stderr=True)
"""Errors and progress, so that standard output can be piped."""

archive = partial(services, existing=True)
"""The services of an archive that is there: a command that asks or decides does not begin a new one."""


def load_settings(data: Path | None = None, **groups: dict[str, Any]) -> Settings:
    """The settings of the environment, with a command's own options over them. Raises UserError."""
    try:
        settings = Settings()
        chosen = settings.model_dump()
        if data is not None:
            chosen["data"] = data
        for group, options in groups.items():
            chosen[group] |= {name: value for name, value in options.items() if value is not None}
        return Settings.model_validate(chosen)
    except ValidationError as error:
        problem = error.errors(include_url=False)[0]
        where = "FACESTREAM_" + "__".join(str(part).upper() for part in problem["loc"])
        group, *names = map(str, problem["loc"])
        if names and groups.get(group, {}).get(names[0]) is not None:
            where = "--" + names[0].replace("_", "-")
        given = f", not {problem['input']!r}" if isinstance(problem["input"], str | int | float) else ""
        raise UserError(f"{where}: {problem['msg'].removeprefix('Value error, ')}{given}") from error


def now() -> datetime:
    """The clock, handed to whatever needs one."""
    return datetime.now(UTC)


def log_to_stderr(least: int = logging.INFO) -> None:
    """Log lines of this level and above: for people at a terminal, JSON lines elsewhere."""
    renderer = structlog.dev.ConsoleRenderer() if sys.stderr.isatty() else structlog.processors.JSONRenderer()
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(least),
        # Looked up at each line: a logger that kept the stream would write to one that was closed since.
        logger_factory=lambda *_: structlog.PrintLogger(sys.stderr),
    )
    logging.basicConfig(stream=sys.stderr, level=logging.ERROR, format="%(name)s: %(message)s")
    logging.getLogger("kafka").setLevel(logging.ERROR)
    # It calls a refresh that closing cut short an error.
    logging.getLogger("kafka.cluster").setLevel(logging.CRITICAL)
