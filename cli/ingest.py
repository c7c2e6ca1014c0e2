"""`facestream ingest`: publish scans, each once."""

from __future__ import annotations

import json
from typing import Annotated

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from cli.common import Data, Json, console, errors, load_settings, now
from local.services import services
from models.formats import FORMAT_NAMES
from producers.feed import Feed, Summary
from producers.files import Listing, list_sources, scans_of
from settings import KafkaSettings
from stream.topics import ensure_topics


def ingest(
    paths: Annotated[
        list[str],
        typer.Argument(
            metavar="PATH...",
            help=f"Folders (with all below them), image files ({FORMAT_NAMES}; a scan for each page of a TIFF), or "
            "manifests: CSV or JSON lines with a column uri, and if wanted scan_id, collection, media_type, page, "
            "sha256 and any others as metadata.",
        ),
    ],
    collection: Annotated[
        str | None, typer.Option(help="The scans' collection.", show_default="the folder's name")
    ] = None,
    data: Data = None,
    json_: Json = False,
) -> None:
    """Publish scans to Kafka. What is already there is not published again; what changed is, under its old name.

    Files of other formats and hidden files in a folder are skipped.
    """
    settings = load_settings(data)
    listing = list_sources(paths, collection)
    with services(settings, kafka=True, database=False, command="ingest") as running:
        ensure_topics(running.kafka)
        summary = _publish(listing, running.kafka)
    if json_:
        counts = {
            "published": summary.published,
            "changed": summary.changed,
            "already_there": summary.already_there,
            "skipped_files": listing.skipped,
        }
        console.print(json.dumps(counts), markup=False, highlight=False, soft_wrap=True)
    else:
        skipped = f"; {listing.skipped} other files skipped" if listing.skipped else ""
        console.print(
            f"{summary.scans} scans: {summary.published} published, {summary.changed} changed and published again, "
            f"{summary.already_there} already there{skipped}",
            highlight=False,
            soft_wrap=True,
        )


def _publish(listing: Listing, kafka: KafkaSettings) -> Summary:
    columns = (TextColumn("publishing"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TimeRemainingColumn())
    with Feed(kafka, now) as feed, Progress(*columns, console=errors) as progress:
        for source in progress.track(listing.sources):
            for scan in scans_of(source, now):
                feed.publish(scan)
    return feed.summary
