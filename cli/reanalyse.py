"""`facestream reanalyse`: have scans analysed again, with the model and settings of now."""

from __future__ import annotations

from typing import Annotated

import typer

from cli.archive import open_archive
from cli.common import load_settings, now
from cli.options import Data, Json
from cli.printing import console, print_json
from cli.progress import progress_bar
from errors import UserError
from producers.reanalyse import chosen_scans, publish_again


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
    """Have scans analysed again by the detect consumer with its current model and settings.

    A face that is found again keeps its id, and so its name and all decisions about it.
    """
    if everything == bool(scan_ids or collection is not None):
        raise UserError("name the scans to analyse again: their ids, --collection, or --all alone")
    with open_archive(load_settings(data), "reanalyse", database=False) as running:
        scans = chosen_scans(running.kafka, scan_ids or (), collection, running.data)
        again = publish_again(running.kafka, scans, now, running.data)
        with progress_bar("publishing") as progress:
            for _ in progress.track(again, total=len(scans)):
                pass
    if json_:
        print_json({"published_again": len(scans)})
    else:
        console.print(f"scans published again, for another analysis: {len(scans):,}")
