"""`facestream desk`, and the desk beside the commands that run the whole system."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Annotated
from urllib.error import HTTPError
from urllib.request import urlopen

import typer

from cli import signals
from cli.common import load_settings, now
from cli.logs import log_to_stderr
from cli.options import Data, local_user
from cli.printing import print_line
from settings import Settings
from telemetry.health import health
from telemetry.server import serving

# Seconds between two looks at whether it answers.
_LOOK_EVERY_S = 10.0

Port = Annotated[int | None, typer.Option(min=1, max=65535, help="The port of the desk.", show_default="8000")]


def desk(port: Port = None, data: Data = None) -> None:
    """Serve the desk, on which archivists name faces in a browser, until Ctrl-C. The consumers run elsewhere.

    Where the services are not running they are started, but nothing is detected or clustered: `facestream up` runs all.
    """
    from cli.archive import open_archive
    from stream.erasures import check_restored

    log_to_stderr()
    settings = load_settings(data, desk={"port": port})
    with serving(settings.metrics), open_archive(settings, "desk") as running:
        check_restored(running)
        with served_desk(running, exactly=port is not None) as address, until_stopped() as stop:
            print_line(f"the desk: {address} (Ctrl-C ends it)")
            health.ready()
            while not stop.wait(_LOOK_EVERY_S):
                _look(address)


def _look(address: str) -> None:
    """The desk is alive while it answers, whatever it answers."""
    with suppress(OSError):
        with suppress(HTTPError):
            urlopen(f"{address}/static/desk.js", timeout=_LOOK_EVERY_S).close()
        health.turned()


@contextmanager
def served_desk(settings: Settings, *, exactly: bool = False) -> Iterator[str]:
    """Serve the desk from a thread, and yield its address.

    exactly: at the port of the settings and no other, instead of the next one that is free. Raises FacestreamError
    where it cannot be served.
    """
    # Imported here, since most runs of the commands serve no desk.
    from web.serve import served

    with served(settings, now, local_user(), exactly=exactly) as address:
        yield address


@contextmanager
def until_stopped() -> Iterator[threading.Event]:
    """An event that Ctrl-C and SIGTERM set."""
    stop = threading.Event()
    with signals.setting(stop, reported=False):
        yield stop
