"""`facestream status`: what is in the catalogue, and how far each consumer is behind."""

from __future__ import annotations

import json
from dataclasses import asdict

from rich.table import Table

from catalogue import reader
from catalogue.connection import connect
from cli.common import Data, Json, archive, console, load_settings
from cli.stages import STAGES
from stream.lag import lag_reader
from stream.topics import ensure_topics


def status(data: Data = None, json_: Json = False) -> None:
    """Counts of what is in the catalogue, and the lag of each consumer: records it has not done with yet."""
    with archive(load_settings(data), command="status") as settings:
        ensure_topics(settings.kafka)
        with lag_reader(settings.kafka) as lags, connect(settings.database) as connection:
            lag = lags.lags(STAGES)
            counts = asdict(reader.counts(connection))
    if json_:
        print(json.dumps(counts | {"lag": lag}))  # noqa: T201 - standard output is the result
        return
    table = Table(title="In the catalogue", show_header=False)
    table.add_column()
    table.add_column(justify="right")
    for name, count in counts.items():
        table.add_row(name.replace("_", " "), f"{count:,}")
    console.print(table)
    behind = Table("consumer", "reads", title="Lag")
    behind.add_column("records behind", justify="right")
    for name, topics in STAGES.items():
        behind.add_row(name, ", ".join(topic.name for topic in topics), f"{lag[name]:,}")
    console.print(behind)
