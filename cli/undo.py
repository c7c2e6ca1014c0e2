"""`facestream undo`: undo a decision."""

from __future__ import annotations

from typing import Annotated

import typer

from cli.decide import decide
from cli.options import Author, Data, Json, Note
from decisions.actions import Undo
from decisions.lookup import find_decision


def undo(
    decision_id: Annotated[
        str,
        typer.Argument(metavar="DECISION_ID", help="A decision's id, or a beginning of it that no other decision has."),
    ],
    author: Author,
    note: Note = None,
    data: Data = None,
    json_: Json = False,
) -> None:
    """Undo a decision: what was decided before holds again. Undoing an undo restores the decision."""
    decide(
        lambda context: Undo(decision_id=find_decision(context.decisions, decision_id).decision_id),
        command="undo",
        author=author,
        note=note,
        data=data,
        json_=json_,
    )
