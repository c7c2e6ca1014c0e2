"""Why something cannot be decided, in the language of the reader."""

from __future__ import annotations

from decisions.conflicts import ConflictError
from decisions.holding import Decisions
from decisions.refusals import Refusal
from web.entries import clause
from web.strings import Words


def worded(refusal: Refusal, decisions: Decisions, t: Words) -> str:
    """The reason of a refusal as a sentence."""
    fields = dict(refusal.fields)
    if "field" in fields:
        # decisions.people calls it as the command line does: "the name".
        fields["field"] = t.text("field-" + str(fields["field"]).removeprefix("the ").replace(" ", "-"))
    if isinstance(refusal, ConflictError):
        about = refusal.earlier[0] if refusal.reason == "undone-before" else refusal.decision
        fields["what"] = clause(decisions, about, t)
    return t.text(f"refusal-{refusal.reason}", **fields)
