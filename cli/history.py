"""`facestream history`: all decisions about a face."""

from __future__ import annotations

from collections.abc import Sequence

from rich.table import Table

from cli.decide import decision_context
from cli.options import Data, FaceId, Json
from cli.printing import console, identifier, minute, print_json, print_line
from decisions.holding import Decisions
from decisions.lookup import short_id
from decisions.wording import describe_for_face
from schemas.decisions import Decision, DecisionUndone


def history(face_id: FaceId, data: Data = None, json_: Json = False) -> None:
    """Everything that was ever decided about a face, the earliest first, with undone decisions and their undos."""
    with decision_context(data, "history") as context:
        # A face that was withdrawn is not in the catalogue; `orphans` gives its whole id.
        decided = any(face_id in decision.face_ids for decision in context.decisions)
        whole_id = face_id if decided else context.face_id(face_id)
    decisions = context.decisions.history(whole_id)
    if json_:
        for decision in decisions:
            line = {"kind": decision.kind, "holds": context.decisions.holds(decision)}
            print_json(line | decision.model_dump(mode="json", exclude_none=True))
    elif decisions:
        console.print(_table(whole_id, decisions, context.decisions))
    else:
        print_line(f"nothing was decided about face {whole_id}")


def _table(face_id: str, decisions: Sequence[Decision], all_decisions: Decisions) -> Table:
    ids = {decision.decision_id: short_id(all_decisions, decision.decision_id) for decision in decisions}
    people = all_decisions.known_labels()
    table = Table("decided", "by", "what", "note", "holds", identifier("decision"), title=f"Face {face_id}")
    for decision in decisions:
        what = (
            f"undoes {ids[decision.undone_decision_id]}"
            if isinstance(decision, DecisionUndone)
            else describe_for_face(face_id, decision, people)
        )
        table.add_row(
            minute(decision.decided_at),
            decision.author,
            what,
            decision.note or "",
            "yes" if all_decisions.holds(decision) else "undone",
            ids[decision.decision_id],
        )
    return table
