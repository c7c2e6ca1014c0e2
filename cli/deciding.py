"""What the commands share by which an archivist decides: their options, and how a decision is made and told."""

from __future__ import annotations

import getpass
import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any
from uuid import uuid4

import typer
from psycopg import Connection

from catalogue import reader
from catalogue.connection import connect
from cli.common import archive, console, errors, load_settings, now
from decisions.conflicts import AlreadySo, behind
from decisions.holding import Decisions
from decisions.people import cleaned
from decisions.wording import told
from errors import UserError
from local.owner import announced
from producers.decisions import publish_decision, read_decisions
from schemas.decisions import Decision, DecisionUndone, FaceNamed
from settings import Settings
from stream.topics import ensure_topics


def _login_name() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError) as error:
        raise UserError("it is not known who decides: give --author, or set FACESTREAM_AUTHOR") from error


Author = Annotated[
    str,
    typer.Option(
        default_factory=_login_name, envvar="FACESTREAM_AUTHOR", help="Who decides.", show_default="the login name"
    ),
]
Note = Annotated[str | None, typer.Option(help="Why, or how it is known.", show_default=False)]
FaceId = Annotated[
    str, typer.Argument(metavar="FACE_ID", help="A face's id, or a beginning of it that no other face has.")
]
OtherFaceId = Annotated[str, typer.Argument(metavar="FACE_ID", help="The same of another face.")]

Fields = dict[str, Any]
"""The fields that every decision has: its id, author, time and note."""


@dataclass(frozen=True)
class Desk:
    """Where an archivist decides: what was decided until now, and the catalogue.

    alone: the services were started for this command, so that no consumer is running on them.
    """

    settings: Settings
    held: Decisions
    connection: Connection
    alone: bool

    def face_id(self, prefix: str) -> str:
        """The one face whose id is this or begins with this. Raises CatalogueError."""
        return reader.face_id_of(self.connection, prefix)


@contextmanager
def desk(data: Path | None, command: str) -> Iterator[Desk]:
    """The services that a decision needs, with what was decided until now."""
    chosen = load_settings(data)
    with archive(chosen, command=command) as settings:
        ensure_topics(settings.kafka)
        owner = announced(chosen.data.resolve())
        alone = chosen.kafka.bootstrap_servers is None and owner is not None and owner.pid == os.getpid()
        with connect(settings.database) as connection:
            yield Desk(settings, read_decisions(settings.kafka), connection, alone)


def decide_and_tell(
    make: Callable[[Desk, Fields], Decision],
    *,
    command: str,
    author: str,
    note: str | None,
    data: Path | None,
    json_: bool,
) -> None:
    """Make a decision at the desk, publish it, and print one line: what was decided, and the id to undo it by.

    What holds already is said, and not published again.
    """
    fields: Fields = {
        "decision_id": uuid4().hex,
        "author": cleaned(author, "the author"),
        "decided_at": now(),
        "note": None if note is None else cleaned(note, "the note"),
    }
    with desk(data, command) as at:
        decision = make(at, fields)
        before = at.held.labels(decision.face_id).hard if isinstance(decision, FaceNamed) else None
        try:
            decision = publish_decision(at.settings.kafka, at.held, decision, now)
        except AlreadySo as already:
            _print(json_, {"decided": False, "already": str(already)}, f"it is so already: {already}")
            return
        what = _told(at.held, decision, before)
    if at.alone:
        errors.print("nothing is running now: it takes effect with the next `facestream run` or `watch`", markup=False)
    said = {"decided": True, "kind": decision.kind} | decision.model_dump(mode="json", exclude_none=True)
    _print(json_, said, f"{what} (decision {decision.decision_id})")


def _told(held: Decisions, decision: Decision, label_before: str | None) -> str:
    people = held.people()
    if isinstance(decision, DecisionUndone):
        subject = behind(held, decision) or decision
        return f"{'restored' if held.holds(subject) else 'undone'}: {told(subject, people)}"
    if isinstance(decision, FaceNamed) and label_before not in (None, decision.label_id):
        return f"{told(decision, people)}, no longer {people[str(label_before)].name}"
    return told(decision, people)


def _print(json_: bool, line: Fields, text: str) -> None:
    if json_:
        print(json.dumps(line))  # noqa: T201 - standard output is the result
    else:
        console.print(text, markup=False, highlight=False, soft_wrap=True)
