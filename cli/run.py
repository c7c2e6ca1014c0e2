"""`facestream run`, `watch` and `up`: the whole system on this machine, fed from folders or as it is, and its desk."""

from __future__ import annotations

import shlex
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from cli.common import load_settings, now
from cli.desk import Port, served_desk
from cli.feeding import Collection, Exclude, FeedReport, Replace, Verbose, feed_stores
from cli.logs import log_to_stderr
from cli.options import Data, Json
from cli.printing import print_line
from cli.summary import print_summary
from cli.system import System, system
from errors import UserError
from local.services import has_archive
from producers.feed import Feed
from producers.files import Listing, absolute, list_sources
from producers.folders import Excluded, is_folder, printable
from producers.known import KnownScans
from producers.watch import Options
from producers.watch import watch as watch_folder
from sample.archive import build_sample
from sample.truth import Truth
from schemas import defaults
from settings import Settings

Paths = Annotated[
    list[Path] | None,
    typer.Argument(
        metavar="SCANS...", help="Folders, files or manifests.", show_default="a sample, in a new archive only"
    ),
]
Eps = Annotated[
    float | None,
    typer.Option(
        help="Largest distance of neighbours.",
        show_default=f"{defaults.CALIBRATED_EPS}, or {defaults.EPS} by Euclidean distance",
    ),
]
Upsample = Annotated[int | None, typer.Option(help="Doublings before detection.", show_default=str(defaults.UPSAMPLE))]
Poll = Annotated[
    bool,
    typer.Option(
        "--poll",
        help="Look at all files every second. For network folders (NFS, SMB), on which the operating system does not "
        "report what other machines change.",
    ),
]


def run(
    scans: Paths = None,
    data: Data = None,
    collection: Collection = None,
    exclude: Exclude = None,
    replace: Replace = False,
    verbose: Verbose = False,
    eps: Eps = None,
    upsample: Upsample = None,
    json_: Json = False,
) -> None:
    """Start everything, publish scans, wait until they are all clustered, and print what was found.

    In a terminal the desk is served until Ctrl-C, and its address is the last line. Elsewhere the command ends then.

    Exit status: 0 if all is published, 1 after an error or where a scan was refused because its id is that of another
    picture elsewhere, 3 if all is published but for files or folders that cannot be read.
    """
    log_to_stderr()
    settings = load_settings(data, clustering={"eps": eps}, models={"upsample": upsample})
    truth: Truth | None = None
    check: Callable[[KnownScans, Listing], None] | None = None
    if not scans:
        scans, check = [_sample_folder(settings)], _refuse_sample_in_other_archive
        truth = build_sample(scans[0])
    listing = list_sources(scans, collection, Excluded(tuple(exclude or ())))
    with system(settings, "run") as running, _desk_in_terminal(running, json_) as address:
        report = FeedReport(verbose, count=running.count)
        report.listed(listing)
        started = time.monotonic()
        running.feed(lambda: _publish(running, listing, report, replace, check))
        running.wait_until_done()
        seconds = time.monotonic() - started
        running.end_progress()
        print_summary(running, seconds, truth, json_)
        if address and not running.stop.is_set():
            print_line(f"the desk, until Ctrl-C: {address}")
            running.stay()
        elif not json_:
            print_line(f"to name faces in a browser: facestream up --data {shlex.quote(printable(settings.data))}")
    report.end()


def up(
    port: Port = None,
    data: Data = None,
    eps: Eps = None,
    upsample: Upsample = None,
) -> None:
    """Start everything on an archive that exists, without publishing anything, and serve the desk until Ctrl-C.

    Scans that others publish meanwhile are detected and clustered.
    """
    log_to_stderr()
    settings = load_settings(data, clustering={"eps": eps}, models={"upsample": upsample}, desk={"port": port})
    if not has_archive(settings.data) and (settings.kafka.bootstrap_servers is None or settings.database.url is None):
        raise UserError(
            f"no archive in {printable(settings.data)}: name its folder with --data, or start one with "
            "facestream run FOLDER"
        )
    with system(settings, "up") as running, served_desk(running.settings, exactly=port is not None) as address:
        print_line(f"the desk, until Ctrl-C: {address}")
        running.stay_with_progress()
        running.end_progress()


def watch(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="The folder to watch.")],
    data: Data = None,
    collection: Collection = None,
    poll: Poll = False,
    exclude: Exclude = None,
    replace: Replace = False,
    verbose: Verbose = False,
    eps: Eps = None,
    upsample: Upsample = None,
    json_: Json = False,
) -> None:
    """Start everything and publish whatever is put into a folder, until Ctrl-C; then print what was found.

    In a terminal the desk is served meanwhile.

    Files that move, are copies, are skipped, cannot be read, or are gone, are reported as it happens. A scan whose file
    is gone stays, until `withdraw --missing`.

    Exit status: 0 if all was published, 1 after an error or where a scan was refused because its id is that of another
    picture elsewhere, 3 if all was published but for files or folders that could not be read.
    """
    log_to_stderr()
    settings = load_settings(data, clustering={"eps": eps}, models={"upsample": upsample})
    options = Options(collection, Excluded(tuple(exclude or ())), polls=poll)
    if not is_folder(folder):
        raise UserError(f"{printable(folder)}: no such folder to watch")
    with system(settings, "watch") as running, _desk_in_terminal(running, json_) as address:
        if address:
            print_line(f"the desk, until Ctrl-C: {address}")
        report = FeedReport(verbose, count=running.count)
        started = time.monotonic()
        running.feed(lambda: _publish_from_folder(running, folder, options, report, replace))
        seconds = time.monotonic() - started
        running.end_progress()
        print_summary(running, seconds, None, json_)
    report.end()


@contextmanager
def _desk_in_terminal(running: System, json_: bool) -> Iterator[str | None]:
    """Serve the desk to a person, who stays; a program that reads the output waits for the command to end."""
    if json_ or not sys.stdout.isatty():
        yield None
        return
    with served_desk(running.settings) as address:
        yield address


def _sample_folder(settings: Settings) -> Path:
    """Where the sample is built. Raises UserError where there is an archive without it."""
    folder = settings.data / "sample"
    if has_archive(settings.data) and not folder.is_dir():
        raise _other_archive(settings.data)
    return folder


def _refuse_sample_in_other_archive(known: KnownScans, sample: Listing) -> None:
    """Raise UserError where the sample would add strange scans to an archive."""
    ids = {source.scan_id for source in sample.sources}
    published = (scan_id.partition("#page=")[0] for scan_id, _ in known.items())
    has_others = any(scan_id not in ids for scan_id in published)
    if has_others and not all(scan_id in known or f"{scan_id}#page=1" in known for scan_id in ids):
        raise _other_archive(None)


def _other_archive(data: Path | None) -> UserError:
    where = f"there is an archive in {printable(data)}" if data else "there are other scans in this archive"
    return UserError(
        f"{where}, and the sample goes only into a new archive of its own: name the scans to add "
        "(facestream run FOLDER), or a new folder for the sample (facestream run --data NEW_FOLDER)"
    )


def _publish(
    running: System,
    listing: Listing,
    report: FeedReport,
    replace: bool,
    check: Callable[[KnownScans, Listing], None] | None,
) -> None:
    with Feed(running.settings.kafka, now, running.settings.data, replacing=replace) as feed:
        if check is not None:
            check(feed.known, listing)
        sources = feed.sources_in_order(listing.sources)
        stores = feed_stores(running.settings, listing.roots, running.stop)
        for verdicts in stores.in_turn(sources, lambda source: feed.publish_file(source, now, stores.fetch)):
            for verdict in verdicts:
                report.note(verdict)
    report.print_noted()


def _publish_from_folder(running: System, folder: Path, options: Options, report: FeedReport, replace: bool) -> None:
    stores = feed_stores(running.settings, [absolute(folder)], running.stop)
    with Feed(running.settings.kafka, now, running.settings.data, replacing=replace) as feed:
        watch_folder(feed, folder, stores, running.stop, now, report, options)
