"""Publishing an archivist's decision: what all commands that decide have in common."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

from psycopg import Connection

from catalogue import reader
from cli.archive import connected, open_archive
from cli.common import load_settings, now
from cli.printing import print_json, print_line, stderr
from decisions.conflicts import AlreadyHolds
from decisions.holding import Decisions
from decisions.people import normalize_spaces
from decisions.wording import describe
from local.owner import announced
from producers.decisions import publish_decision, read_decisions
from schemas.decisions import Decision, DecisionUndone, FaceNamed
from settings import Settings

CommonFields = dict[str, Any]
"""The fields that every decision has: its id, author, time and note."""


@dataclass(frozen=True)
class DecisionContext:
    """What a decision is made from: all earlier decisions, and the catalogue.

    alone: the services were started for this command, so no consumer is running on them.
    """

    settings: Settings
    decisions: Decisions
    connection: Connection
    alone: bool

    def face_id(self, prefix: str) -> str:
        """The one face whose id is this or begins with this. Raises CatalogueError."""
        return reader.face_id_of(self.connection, prefix)


@contextmanager
def decision_context(data: Path | None, command: str) -> Iterator[DecisionContext]:
    """Open the archive and read the earlier decisions. Raises FacestreamError."""
    settings = load_settings(data)
    with open_archive(settings, command) as running:
        owner = announced(settings.data.resolve())
        alone = settings.kafka.bootstrap_servers is None and owner is not None and owner.pid == os.getpid()
        with connected(running.database) as connection:
            yield DecisionContext(running, read_decisions(running.kafka), connection, alone)


def decide(
    make: Callable[[DecisionContext, CommonFields], Decision],
    *,
    command: str,
    author: str,
    note: str | None,
    data: Path | None,
    json_: bool,
) -> None:
    """Make a decision, publish it, and print one line: the decision, and the id to undo it by.

    A decision that holds already is reported and not published again. Raises FacestreamError.
    """
    fields: CommonFields = {
        "decision_id": uuid4().hex,
        "author": normalize_spaces(author, "the author"),
        "decided_at": now(),
        "note": None if note is None else normalize_spaces(note, "the note"),
    }
    with decision_context(data, command) as context:
        decision = make(context, fields)
        earlier_label = context.decisions.labels(decision.face_id).hard if isinstance(decision, FaceNamed) else None
        try:
            decision = publish_decision(context.settings.kafka, context.decisions, decision, now)
        except AlreadyHolds as already:
            _print(json_, {"decided": False, "already": str(already)}, f"it is so already: {already}")
            return
        text = _describe(context.decisions, decision, earlier_label)
    if context.alone:
        stderr.print("nothing is running now: it takes effect with the next `facestream run` or `watch`", markup=False)
    line = {"decided": True, "kind": decision.kind} | decision.model_dump(mode="json", exclude_none=True)
    _print(json_, line, f"{text} (decision {decision.decision_id})")


def _describe(decisions: Decisions, decision: Decision, earlier_label: str | None) -> str:
    people = decisions.people()
    if isinstance(decision, DecisionUndone):
        subject = decisions.subject(decision) or decision
        return f"{'restored' if decisions.holds(subject) else 'undone'}: {describe(subject, people)}"
    if isinstance(decision, FaceNamed) and earlier_label not in (None, decision.label_id):
        return f"{describe(decision, people)}, no longer {people[str(earlier_label)].name}"
    return describe(decision, people)


def _print(json_: bool, line: dict[str, Any], text: str) -> None:
    if json_:
        print_json(line)
    else:
        print_line(text)
