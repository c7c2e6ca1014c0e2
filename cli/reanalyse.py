"""`facestream reanalyse`: scans through detection again, with the model and settings it has now."""

from __future__ import annotations

import json
from typing import Annotated

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from cli.common import Data, Json, archive, console, errors, load_settings, now
from errors import UserError
from producers.reanalyse import chosen_scans, publish_again
from stream.topics import ensure_topics


def reanalyse(
    scan_ids: Annotated[
        list[str] | None,
        typer.Argument(metavar="[SCAN_ID]...", help="The scans' ids, as `similar` and `clusters` print them."),
    ] = None,
    collection: Annotated[str | None, typer.Option(help="All scans of a collection.", show_default=False)] = None,
    everything: Annotated[bool, typer.Option("--all", help="All scans.")] = False,
    data: Data = None,
    json_: Json = False,
) -> None:
    """Have scans analysed again by the detect consumer with its present model and settings.

    A face that is found again keeps its id, and with it its name and everything that was decided about it.
    """
    if everything == bool(scan_ids or collection is not None):
        raise UserError("say which scans are to be analysed again: their ids, --collection, or --all alone")
    with archive(load_settings(data), database=False, command="reanalyse") as settings:
        ensure_topics(settings.kafka)
        scans = chosen_scans(settings.kafka, scan_ids or (), collection)
        columns = (
            TextColumn("publishing"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
        )
        with Progress(*columns, console=errors) as progress:
            for _ in progress.track(publish_again(settings.kafka, scans, now), total=len(scans)):
                pass
    if json_:
        print(json.dumps({"published_again": len(scans)}))  # noqa: T201 - standard output is the result
    else:
        console.print(f"scans published again, to be analysed anew: {len(scans):,}", highlight=False)
