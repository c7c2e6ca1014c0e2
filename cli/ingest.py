"""`facestream ingest`: publish scans, each once."""

from __future__ import annotations

from typing import Annotated

import typer

from cli.archive import open_archive
from cli.common import load_settings, now
from cli.options import Data, Json
from cli.printing import console, print_json
from cli.progress import progress_bar
from models.formats import FORMAT_NAMES
from producers.feed import Feed, Summary
from producers.files import Listing, list_sources, scans_of
from settings import KafkaSettings


def ingest(
    paths: Annotated[
        list[str],
        typer.Argument(
            metavar="PATH...",
            help=f"Folders (with all below them), image files ({FORMAT_NAMES}; a scan for each page of a TIFF), or "
            "manifests: CSV or JSON lines with a column uri, and optionally scan_id, collection, media_type, page, "
            "sha256 and any others as metadata.",
        ),
    ],
    collection: Annotated[
        str | None, typer.Option(help="The scans' collection.", show_default="the folder's name")
    ] = None,
    data: Data = None,
    json_: Json = False,
) -> None:
    """Publish scans to Kafka. Scans that are there are not published again, unless they changed: then under their id.

    Files of other formats and hidden files in a folder are skipped.
    """
    settings = load_settings(data)
    listing = list_sources(paths, collection)
    with open_archive(settings, "ingest", database=False, existing=False) as running:
        summary = _publish(listing, running.kafka)
    if json_:
        print_json(
            {
                "published": summary.published,
                "changed": summary.changed,
                "already_there": summary.already_there,
                "skipped_files": listing.skipped,
            }
        )
    else:
        skipped = f"; {listing.skipped} other files skipped" if listing.skipped else ""
        console.print(
            f"{summary.scans} scans: {summary.published} published, {summary.changed} changed and published again, "
            f"{summary.already_there} already there{skipped}",
            highlight=False,
            soft_wrap=True,
        )


def _publish(listing: Listing, kafka: KafkaSettings) -> Summary:
    with Feed(kafka, now) as feed, progress_bar("publishing") as progress:
        for source in progress.track(listing.sources):
            for scan in scans_of(source, now):
                feed.publish(scan)
    return feed.summary
