"""`facestream ingest`: publish scans, each once."""

from __future__ import annotations

from threading import Event
from typing import Annotated

import typer

from cli.archive import open_archive
from cli.common import load_settings, now
from cli.feeding import Collection, Exclude, FeedReport, Replace, Verbose, feed_stores
from cli.options import Data, Json
from cli.printing import print_json, print_line
from cli.progress import progress_bar
from models.formats import FORMAT_NAMES
from producers.feed import Feed, Summary
from producers.files import Listing, list_sources
from producers.folders import Excluded
from producers.patience import PatientStores
from settings import Settings


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
    collection: Collection = None,
    exclude: Exclude = None,
    replace: Replace = False,
    verbose: Verbose = False,
    data: Data = None,
    json_: Json = False,
) -> None:
    """Publish scans to Kafka. Scans that are there are not published again, unless they changed: then under their id.

    A file that was moved stays the scan that it was. In folders, files of other formats, hidden files, and what network
    drives and systems put there (@eaDir, #recycle, $RECYCLE.BIN, .Trash*, lost+found, __MACOSX, ...) are skipped.

    Exit status: 0 if all is published, 1 after an error or where a scan was refused because its id is that of another
    picture elsewhere, 3 if all is published but for files or folders that cannot be read.
    """
    settings = load_settings(data)
    listing = list_sources(paths, collection, Excluded(tuple(exclude or ())))
    report = FeedReport(verbose, prints_counts=False)
    report.listed(listing)
    with open_archive(settings, "ingest", database=False, existing=False) as running:
        stores = feed_stores(settings, listing.roots, Event())
        summary = _publish(listing, running, stores, report, replace)
    report.print_noted()
    if json_:
        print_json(
            {
                "published": summary.published,
                "changed": summary.changed,
                "already_there": summary.already_there,
                "moved": summary.moved,
                "copies": summary.copies,
                "refused": summary.refused,
                "unreadable": report.unreadable_count,
                "skipped_files": listing.skipped,
                "skipped": dict(report.skipped_counts),
            }
        )
    else:
        print_line(_in_words(summary, report))
    report.end()


def _publish(listing: Listing, running: Settings, stores: PatientStores, report: FeedReport, replace: bool) -> Summary:
    with Feed(running.kafka, now, running.data, replacing=replace) as feed, progress_bar("publishing") as progress:
        sources = feed.sources_in_order(listing.sources)
        published = stores.in_turn(sources, lambda source: feed.publish_file(source, now, stores.fetch))
        for verdicts in progress.track(published, total=len(sources)):
            for verdict in verdicts:
                report.note(verdict)
    return feed.summary


def _in_words(summary: Summary, report: FeedReport) -> str:
    parts = [
        f"{summary.published} published",
        f"{summary.changed} changed and published again",
        f"{summary.already_there} already there",
        *([f"{summary.moved} moved"] if summary.moved else []),
        *([f"{summary.refused} refused"] if summary.refused else []),
    ]
    more = [
        *([f"{summary.copies} of them copies of others"] if summary.copies else []),
        *([f"{report.unreadable_count} files or folders that cannot be read"] if report.unreadable_count else []),
        *([f"{report.skipped_in_words} skipped"] if report.skipped_counts else []),
    ]
    return "; ".join([f"{summary.scans} scans: {', '.join(parts)}", *more])
