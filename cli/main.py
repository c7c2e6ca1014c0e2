"""The `facestream` command: which commands there are, and how an error reaches a person."""

from __future__ import annotations

import logging
import sys

import typer

from cli.audit import audit
from cli.candidates import candidates
from cli.clusters import clusters
from cli.common import errors
from cli.consume import catalogue, cluster, detect, index
from cli.dead_letters import dead_letters
from cli.export_faces import export_faces
from cli.history import history
from cli.ingest import ingest
from cli.label import label, reject, unlabel
from cli.link import link, separate
from cli.next import next_
from cli.orphans import orphans
from cli.people import people
from cli.reanalyse import reanalyse
from cli.run import run, watch
from cli.show import show
from cli.similar import similar
from cli.status import status
from cli.suggest import suggest
from cli.sweep import sweep
from cli.undo import undo
from cli.withdraw import withdraw
from errors import FacestreamError

app = typer.Typer(
    help="Keeps every face of a photo archive clustered by person, while new scans stream in through Kafka.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
)

_ALL = "Everything on this machine"
_FEED = "The feed"
_READ = "What was found"
_NAMES = "Names"
_CONSUMERS = "One consumer (they run together under `run`)"

app.command(rich_help_panel=_ALL)(run)
app.command(rich_help_panel=_ALL)(watch)
app.command(rich_help_panel=_FEED)(ingest)
app.command(rich_help_panel=_FEED)(withdraw)
app.command(rich_help_panel=_FEED)(reanalyse)
app.command(rich_help_panel=_READ)(status)
app.command(rich_help_panel=_READ)(clusters)
app.command(rich_help_panel=_READ)(similar)
app.command(rich_help_panel=_READ)(sweep)
app.command(rich_help_panel=_READ)(audit)
app.command("export-faces", rich_help_panel=_READ)(export_faces)
app.command("dead-letters", rich_help_panel=_READ)(dead_letters)
app.command(rich_help_panel=_NAMES)(label)
app.command(rich_help_panel=_NAMES)(unlabel)
app.command(rich_help_panel=_NAMES)(reject)
app.command(rich_help_panel=_NAMES)(link)
app.command(rich_help_panel=_NAMES)(separate)
app.command(rich_help_panel=_NAMES)(undo)
app.command(rich_help_panel=_NAMES)(history)
app.command(rich_help_panel=_NAMES)(show)
app.command(rich_help_panel=_NAMES)(people)
app.command(rich_help_panel=_NAMES)(suggest)
app.command(rich_help_panel=_NAMES)(candidates)
app.command("next", rich_help_panel=_NAMES)(next_)
app.command(rich_help_panel=_NAMES)(orphans)
app.command(rich_help_panel=_CONSUMERS)(detect)
app.command(rich_help_panel=_CONSUMERS)(index)
app.command(rich_help_panel=_CONSUMERS)(cluster)
app.command(rich_help_panel=_CONSUMERS)(catalogue)


def main() -> None:
    """Run the command line; what a person can put right ends as one line and exit code 1."""
    # What goes wrong with Kafka reaches people as our own line; a consumer's log has the client's lines as well.
    logging.getLogger("kafka").setLevel(logging.CRITICAL)
    try:
        app()
    except FacestreamError as error:
        errors.print(f"facestream: {error}", style="bold red", markup=False, highlight=False, soft_wrap=True)
        sys.exit(1)


if __name__ == "__main__":
    main()
