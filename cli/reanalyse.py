"""`facestream reanalyse`: have scans analysed again, with the model and settings of now."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cli.archive import open_archive
from cli.common import load_settings, now
from cli.options import Data, Json
from cli.printing import console, print_json, print_line
from cli.progress import progress_bar
from errors import UserError
from producers.reanalyse import chosen_scans, publish_again
from schemas import defaults
from settings import Settings


def reanalyse(
    scan_ids: Annotated[
        list[str] | None,
        typer.Argument(metavar="[SCAN_ID]...", help="The scans' ids, as `similar` and `clusters` print them."),
    ] = None,
    collection: Annotated[str | None, typer.Option(help="All scans of a collection.", show_default=False)] = None,
    everything: Annotated[bool, typer.Option("--all", help="All scans.")] = False,
    embedder: Annotated[
        str | None,
        typer.Option(
            help="With --all: move the archive to this embedder, a TOML file, a preset, or dlib. It runs the consumers "
            "itself, until all is done; stop others first.",
            show_default=False,
        ),
    ] = None,
    data: Data = None,
    json_: Json = False,
) -> None:
    """Have scans analysed again by the detect consumer with its current model and settings.

    A face that is found again keeps its id, and so its name and all decisions about it.
    """
    if everything == bool(scan_ids or collection is not None):
        raise UserError("name the scans to analyse again: their ids, --collection, or --all alone")
    if embedder is not None:
        _move(embedder, data, json_=json_, everything=everything)
        return
    with open_archive(load_settings(data), "reanalyse", database=False) as running:
        chosen = chosen_scans(running.kafka, scan_ids or (), collection, running.data)
        again = publish_again(running.kafka, chosen, now, running.data)
        with progress_bar("publishing") as progress:
            published = sum(1 for _ in progress.track(again, total=len(chosen.scans)))
    left_out = len(chosen.scans) - published
    if json_:
        print_json({"published_again": published, "left_out": left_out})
        return
    console.print(f"scans published again, for another analysis: {published:,}")
    if left_out:
        print_line(f"left out, because somebody withdrew or changed them meanwhile: {left_out:,}")


def _move(embedder: str, data: Path | None, *, json_: bool, everything: bool) -> None:
    """Move the archive to another embedder."""
    if not everything:
        raise UserError("--embedder needs --all: embeddings of two embedders are never compared")
    # Only this command loads networks.
    from cli.moving import move

    if Settings().models.embedder_path is not None and (embedder == defaults.MODEL or Path(embedder).is_file()):
        raise UserError("unset FACESTREAM_MODELS__EMBEDDER_PATH: it names the file of another embedder")
    published, left_out = move(load_settings(data, models={"embedder": embedder}))
    if json_:
        print_json({"published_again": published, "left_out": left_out, "embedder": embedder})
        return
    print_line(f"scans analysed again with the embedder {embedder}: {published:,}")
    if left_out:
        print_line(f"left out, because they were analysed with it already, or were withdrawn or changed: {left_out:,}")
    print_line(f"set it for all consumers from now on: FACESTREAM_MODELS__EMBEDDER={embedder}")
