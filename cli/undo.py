"""`facestream undo`: take a decision back."""

from __future__ import annotations

from typing import Annotated

import typer

from cli.common import Data, Json
from cli.deciding import Author, Desk, Fields, Note, decide_and_tell
from decisions.lookup import find_decision
from schemas.decisions import Decision, DecisionUndone


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
    """Take a decision back: what was decided before holds again. To undo the undo restores the decision."""

    def make(at: Desk, fields: Fields) -> Decision:
        return DecisionUndone(**fields, undone_decision_id=find_decision(at.held, decision_id).decision_id)

    decide_and_tell(make, command="undo", author=author, note=note, data=data, json_=json_)
