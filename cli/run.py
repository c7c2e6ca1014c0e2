"""`facestream run` and `facestream watch`: the whole system on this machine, fed from folders."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import typer

from cli.common import load_settings, now
from cli.logs import log_to_stderr
from cli.options import Data, Json
from cli.printing import stderr
from cli.summary import print_summary
from cli.system import System, system
from errors import UserError
from producers.feed import Feed
from producers.files import Listing, list_sources, scans_of
from producers.watch import watch as watch_folder
from sample.archive import build_sample
from sample.truth import Truth
from schemas import defaults

Paths = Annotated[
    list[Path] | None,
    typer.Argument(metavar="SCANS...", help="Folders, files or manifests.", show_default="a sample archive"),
]
Eps = Annotated[
    float | None,
    typer.Option(
        help="Largest distance of neighbours.",
        show_default=f"{defaults.EPS}, or {defaults.CALIBRATED_EPS} by calibrated distance",
    ),
]
Upsample = Annotated[int | None, typer.Option(help="Doublings before detection.", show_default=str(defaults.UPSAMPLE))]
Collection = Annotated[str | None, typer.Option(help="The scans' collection.", show_default="the folder's name")]


def run(
    scans: Paths = None,
    data: Data = None,
    collection: Collection = None,
    eps: Eps = None,
    upsample: Upsample = None,
    json_: Json = False,
) -> None:
    """Start everything, publish scans, wait until they are all clustered, and print what was found."""
    log_to_stderr()
    settings = load_settings(data, clustering={"eps": eps}, models={"upsample": upsample})
    truth: Truth | None = None
    if not scans:
        scans = [settings.data / "sample"]
        truth = build_sample(scans[0])
    listing = list_sources(scans, collection)
    with system(settings, "run") as running:
        if listing.skipped:
            stderr.print(f"files skipped, since they are not images: {listing.skipped:,}", highlight=False)
        started = time.monotonic()
        running.feed(lambda: _publish(running, listing))
        running.wait_until_done()
        seconds = time.monotonic() - started
        running.end_progress()
        print_summary(running, seconds, truth, json_)


def watch(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="The folder to watch.")],
    data: Data = None,
    collection: Collection = None,
    eps: Eps = None,
    upsample: Upsample = None,
    json_: Json = False,
) -> None:
    """Start everything and publish whatever is put into a folder, until Ctrl-C; then print what was found."""
    log_to_stderr()
    settings = load_settings(data, clustering={"eps": eps}, models={"upsample": upsample})
    if not folder.is_dir():
        raise UserError(f"{folder}: no such folder to watch")
    with system(settings, "watch") as running:
        started = time.monotonic()
        running.feed(lambda: _publish_from_folder(running, folder, collection))
        seconds = time.monotonic() - started
        running.end_progress()
        print_summary(running, seconds, None, json_)


def _publish(running: System, listing: Listing) -> None:
    with Feed(running.settings.kafka, now) as feed:
        for source in listing.sources:
            if running.stop.is_set():
                return
            for scan in scans_of(source, now):
                running.report(scan, feed.publish(scan))


def _publish_from_folder(running: System, folder: Path, collection: str | None) -> None:
    with Feed(running.settings.kafka, now) as feed:
        watch_folder(feed, folder, running.stop, now, running.report, collection)
