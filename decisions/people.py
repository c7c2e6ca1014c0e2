"""Who is meant by a name: the known person of that name, or a new one. Pure.

Names are compared without regard to case and spaces.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from decisions.holding import Person
from errors import UserError

# The catalogue's ids have room for 1,300 bytes.
_LONGEST_ID = 1_000


def cleaned(text: str, what: str) -> str:
    """What a person typed, with single spaces. Raises UserError, which calls it `what`, where nothing is left."""
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise UserError(f"{what} is not text in UTF-8: {text.encode(errors='replace').decode()}") from error
    words = " ".join(text.split())
    if not words:
        raise UserError(f"{what} is empty")
    return words


def person_meant(name: str, label_id: str | None, people: Mapping[str, Person]) -> Person:
    """The person of the label id given, who is called so from now on; else the known one of this name, else a new one.

    Raises UserError where that leaves open who is meant.
    """
    if label_id is not None:
        return Person(_short_enough(cleaned(label_id, "the label id")), name, None)
    known = _carriers(name, people)
    if len(known) == 1:
        return people[known[0]]
    if known:
        raise UserError(f"{len(known)} people are called {name}: {', '.join(known)}; say which with --label")
    made = _short_enough(_slug(name))
    if made in people:
        raise UserError(
            f"the label id {made}, which {name} would have, is that of {people[made].name}: if that is the same "
            f"person, say --label {made}, which changes the name, otherwise give --label another id"
        )
    return Person(made, name, None)


def person_called(text: str, people: Mapping[str, Person]) -> Person:
    """The known person of this label id or name. Raises UserError where there is none, or more than one."""
    if text in people:
        return people[text]
    known = _carriers(text, people)
    if not known:
        raise UserError(f"nobody is called {text}: facestream people lists who was named")
    if len(known) > 1:
        raise UserError(f"{len(known)} people are called {text}: give the label id instead, {' or '.join(known)}")
    return people[known[0]]


def _carriers(name: str, people: Mapping[str, Person]) -> list[str]:
    return sorted(it.label_id for it in people.values() if _compared(it.name) == _compared(name))


def _compared(name: str) -> str:
    return " ".join(name.split()).casefold()


def _slug(name: str) -> str:
    """A label id made from a name: small letters of any script and digits, the rest dashes."""
    slug = re.sub(r"[\W_]+", "-", _compared(name)).strip("-")
    if not slug:
        raise UserError(f"no label id can be made from the name {name}: give one with --label")
    return slug


def _short_enough(label_id: str) -> str:
    if len(label_id.encode()) > _LONGEST_ID:
        raise UserError(f"a label id has at most {_LONGEST_ID} bytes, this one has {len(label_id.encode())}")
    return label_id
