"""`facestream history`: what was ever decided about a face."""

from __future__ import annotations

import json
from collections.abc import Sequence

from rich.table import Table

from cli.common import Data, Json, console
from cli.deciding import FaceId, desk
from decisions.holding import Decisions
from decisions.lookup import short_id
from decisions.wording import describe_for_face
from schemas.decisions import Decision, DecisionUndone


def history(face_id: FaceId, data: Data = None, json_: Json = False) -> None:
    """Everything that was ever decided about a face, the earliest first, undone decisions and undos among it."""
    with desk(data, "history") as at:
        # A face that has vanished is not in the catalogue; `orphans` gives its whole id.
        vanished = any(face_id in it.face_ids for it in at.held)
        face = face_id if vanished else at.face_id(face_id)
    decisions = at.held.history(face)
    if json_:
        for it in decisions:
            line = {"kind": it.kind, "holds": at.held.holds(it)} | it.model_dump(mode="json", exclude_none=True)
            print(json.dumps(line))  # noqa: T201 - standard output is the result
    elif decisions:
        console.print(_table(face, decisions, at.held))
    else:
        console.print(f"nothing was decided about face {face}", markup=False, highlight=False, soft_wrap=True)


def _table(face_id: str, decisions: Sequence[Decision], held: Decisions) -> Table:
    ids = {it.decision_id: short_id(held, it.decision_id) for it in decisions}
    people = held.people()
    table = Table("decided", "by", "what", "note", "holds", title=f"Face {face_id}")
    table.add_column("decision", no_wrap=True)
    for it in decisions:
        what = (
            f"undoes {ids[it.undone_decision_id]}"
            if isinstance(it, DecisionUndone)
            else describe_for_face(face_id, it, people)
        )
        when = f"{it.decided_at.astimezone():%Y-%m-%d %H:%M}"
        table.add_row(when, it.author, what, it.note or "", "yes" if held.holds(it) else "undone", ids[it.decision_id])
    return table
