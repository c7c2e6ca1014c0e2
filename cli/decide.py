"""Publishing archivists' decisions: what all commands that decide have in common."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from psycopg import Connection

from catalogue import reader
from cli.archive import connected, open_archive
from cli.common import load_settings, now
from cli.printing import print_json, print_line, stderr
from decisions.actions import Action
from decisions.holding import Decisions, Person
from decisions.people import checked_text, known_person
from local.owner import announced
from producers.decisions import DecisionWriter
from settings import Settings


@dataclass(frozen=True)
class DecisionContext:
    """What a decision is made from: all earlier decisions, and the catalogue.

    alone: the services were started for this command, so no consumer is running on them.
    """

    settings: Settings
    writer: DecisionWriter
    connection: Connection
    alone: bool

    @property
    def decisions(self) -> Decisions:
        """All decisions."""
        return self.writer.decisions

    def face_id(self, prefix: str) -> str:
        """The one face whose id is this or begins with this. Raises CatalogueError."""
        return reader.face_id_of(self.connection, prefix)

    def person(self, text: str) -> Person:
        """The one person of this label id or name. Raises UserError."""
        return known_person(checked_text(text, "the name"), self.decisions.known_labels())


@contextmanager
def decision_context(data: Path | None, command: str) -> Iterator[DecisionContext]:
    """Open the archive and read the earlier decisions. Raises FacestreamError."""
    settings = load_settings(data)
    with open_archive(settings, command) as running:
        owner = announced(settings.data.resolve())
        alone = settings.kafka.bootstrap_servers is None and owner is not None and owner.pid == os.getpid()
        with connected(running.database) as connection, DecisionWriter(running.kafka, now) as writer:
            yield DecisionContext(running, writer, connection, alone)


def decide(
    make: Callable[[DecisionContext], Action],
    *,
    command: str,
    author: str,
    note: str | None,
    data: Path | None,
    json_: bool,
) -> Decisions:
    """Publish the decision of one action, and print one line: the decision, and the id to undo it by.

    A decision that holds already is reported and not published again. Returns all decisions. Raises FacestreamError.
    """
    # Before anything is started: what is typed wrong is reported at once.
    checked_text(author, "the author")
    if note is not None:
        checked_text(note, "the note")
    with decision_context(data, command) as context:
        decided = context.writer.decide([make(context)], author, note)
    for already in decided.already:
        _print(json_, {"decided": False, "already": already}, f"it is so already: {already}")
    for decision, text in zip(decided.decisions, decided.texts, strict=True):
        if context.alone:
            stderr.print("nothing is running now: it takes effect with the next `facestream run` or `watch`")
        line = {"decided": True, "kind": decision.kind} | decision.model_dump(mode="json", exclude_none=True)
        _print(json_, line, f"{text} (decision {decision.decision_id})")
    return context.decisions


def _print(json_: bool, line: dict[str, object], text: str) -> None:
    if json_:
        print_json(line)
    else:
        print_line(text)
