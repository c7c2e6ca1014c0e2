"""`facestream status`: what is in the catalogue, and the lag of each consumer."""

from __future__ import annotations

from dataclasses import asdict

from rich.table import Table

from catalogue import reader
from cli.archive import connected, open_archive
from cli.common import load_settings
from cli.options import Data, Json
from cli.printing import console, number, print_json, print_values
from consumers.stages import STAGES
from stream.lag import lag_reader


def status(data: Data = None, json_: Json = False) -> None:
    """Counts of what is in the catalogue, and the lag of each consumer: records that it has not read yet."""
    with open_archive(load_settings(data), "status") as running:
        with lag_reader(running.kafka) as lags:
            lag = lags.lags(STAGES)
        with connected(running.database) as connection:
            counts = asdict(reader.counts(connection))
    if json_:
        print_json(counts | {"lag": lag})
        return
    print_values("In the catalogue", [(name.replace("_", " "), f"{count:,}") for name, count in counts.items()])
    table = Table("consumer", "reads", number("records behind"), title="Lag")
    for name, topics in STAGES.items():
        table.add_row(name, ", ".join(topic.name for topic in topics), f"{lag[name]:,}")
    console.print(table)
