"""`facestream history`: all decisions about a face or a person, or the latest of all."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Annotated

import typer
from rich.table import Table

from cli.decide import DecisionContext, decision_context
from cli.options import Data, Json
from cli.printing import console, identifier, minute, print_json, print_line
from decisions.holding import Decisions
from decisions.lookup import short_id
from decisions.wording import describe, describe_for_face
from errors import UserError
from schemas.decisions import Decision, DecisionUndone


def history(
    face_id: Annotated[
        str | None,
        typer.Argument(metavar="[FACE_ID]", help="A face's id, or a beginning of it that no other face has."),
    ] = None,
    person: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="The decisions about a person alone: renamed, merged, removed."),
    ] = None,
    limit: Annotated[int, typer.Option(min=1, help="Without a face or a person: show at most this many.")] = 20,
    data: Data = None,
    json_: Json = False,
) -> None:
    """Everything that was ever decided about a face or a person, with undone decisions and their undos.

    The earliest first. Without a face or a person: the latest decisions of everybody, the latest first.
    """
    if face_id is not None and person is not None:
        raise UserError("a face and --person exclude each other: give one of them")
    with decision_context(data, "history") as context:
        decisions = context.decisions
        if face_id is not None:
            whole_id = _whole_id(context, face_id)
            chosen, title, nothing = decisions.history(whole_id), f"Face {whole_id}", f"about face {whole_id}"
        elif person is not None:
            label_id = _label_id(context, person)
            chosen, title, nothing = (
                decisions.history_of_person(label_id),
                f"Person {label_id}",
                f"about {label_id} alone",
            )
        else:
            chosen = sorted(decisions, key=lambda decision: decision.order, reverse=True)[:limit]
            title, nothing, whole_id = f"Decisions: {len(decisions):,}", "yet", ""
    if json_:
        for decision in chosen:
            line = {"kind": decision.kind, "holds": decisions.holds(decision)}
            print_json(line | decision.model_dump(mode="json", exclude_none=True))
    elif chosen:
        people = decisions.known_labels()

        def text(decision: Decision) -> str:
            return describe(decision, people) if face_id is None else describe_for_face(whole_id, decision, people)

        console.print(_table(title, chosen, decisions, text))
    else:
        print_line(f"nothing was decided {nothing}")


def _whole_id(context: DecisionContext, face_id: str) -> str:
    # A face that was withdrawn is not in the catalogue; `orphans` gives its whole id.
    decided = any(face_id in decision.face_ids for decision in context.decisions)
    return face_id if decided else context.face_id(face_id)


def _label_id(context: DecisionContext, person: str) -> str:
    # A person who was removed is known by the label id alone.
    decided = any(person in decision.label_ids for decision in context.decisions)
    return person if decided else context.person(person).label_id


def _table(
    title: str, decisions: Sequence[Decision], all_decisions: Decisions, text: Callable[[Decision], str]
) -> Table:
    table = Table("decided", "by", "what", "note", "holds", identifier("decision"), title=title)
    for decision in decisions:
        what = (
            f"undoes {short_id(all_decisions, decision.undone_decision_id)}"
            if isinstance(decision, DecisionUndone)
            else text(decision)
        )
        table.add_row(
            minute(decision.decided_at),
            decision.author,
            what,
            decision.note or "",
            "yes" if all_decisions.holds(decision) else "undone",
            short_id(all_decisions, decision.decision_id),
        )
    return table
