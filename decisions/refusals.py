"""Why something cannot be decided: one line for a person, and the same for a program that words it itself. Pure."""

from __future__ import annotations

from typing import Literal

from errors import UserError

Reason = Literal[
    "wrong-page",
    "no-name",
    "no-person",
    "one-face",
    "one-person",
    "not-utf-8",
    "control-character",
    "empty",
    "other-name",
    "several-people",
    "label-id-taken",
    "label-id-too-long",
    "no-label-id",
    "no-decision",
    "undone-before",
    "contradiction",
    "nothing-selected",
    "no-face",
    "several-clusters",
    "all-selected",
]


class Refusal(UserError):
    """Something cannot be decided, for this reason. The text is for the command line, in English.

    fields: what the reason is about, by name, as far as another text needs it.
    """

    def __init__(self, message: str, reason: Reason, **fields: object) -> None:
        super().__init__(message)
        self.reason = reason
        self.fields = fields
