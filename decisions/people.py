"""Finds the person that a typed name stands for, or makes a label id for a new one. Pure.

Names are compared without regard to case and spaces.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from decisions.holding import Person
from errors import UserError

# Below the 1,300 bytes that the catalogue's indexes can hold (`catalogue.limits`).
_MAX_ID_BYTES = 1_000


def normalize_spaces(text: str, field: str) -> str:
    """Typed text with single spaces and none at the ends.

    Raises UserError, which calls the text `field`, where it is empty or not UTF-8.
    """
    try:
        text.encode()
    except UnicodeEncodeError as error:
        # Bytes of the command line that are not UTF-8 arrive as lone surrogates (PEP 383).
        raise UserError(f"{field} is not text in UTF-8: {text.encode(errors='replace').decode()}") from error
    normalized = " ".join(text.split())
    if not normalized:
        raise UserError(f"{field} is empty")
    return normalized


def person_to_name(name: str, label_id: str | None, people: Mapping[str, Person]) -> Person:
    """The person that a face is named as.

    With `label_id` it is that person, who has this name from now on. Without, it is the one of `people` (by label id)
    with this name, or a new person whose label id is made of the name.

    Raises UserError where several people have the name, where another person has the new label id, and where a label id
    is empty or too long.
    """
    if label_id is not None:
        return Person(_checked_length(normalize_spaces(label_id, "the label id")), name, None)
    known = _label_ids_of(name, people)
    if len(known) == 1:
        return people[known[0]]
    if known:
        raise UserError(f"{len(known)} people are called {name}: {', '.join(known)}; say which with --label")
    new_id = _checked_length(_slug(name))
    if new_id in people:
        raise UserError(
            f"the label id {new_id}, which {name} would have, is that of {people[new_id].name}: if that is the same "
            f"person, say --label {new_id}, which changes the name, otherwise give --label another id"
        )
    return Person(new_id, name, None)


def known_person(text: str, people: Mapping[str, Person]) -> Person:
    """The one of `people` (by label id) with this label id or name. Raises UserError where none has it, or several."""
    if text in people:
        return people[text]
    known = _label_ids_of(text, people)
    if not known:
        raise UserError(f"nobody is called {text}: facestream people lists who was named")
    if len(known) > 1:
        raise UserError(f"{len(known)} people are called {text}: give the label id instead, {' or '.join(known)}")
    return people[known[0]]


def _label_ids_of(name: str, people: Mapping[str, Person]) -> list[str]:
    return sorted(person.label_id for person in people.values() if _folded(person.name) == _folded(name))


def _folded(name: str) -> str:
    return " ".join(name.split()).casefold()


def _slug(name: str) -> str:
    """A label id made of a name: lower-case letters of any script and digits, with dashes for everything else."""
    slug = re.sub(r"[\W_]+", "-", _folded(name)).strip("-")
    if not slug:
        raise UserError(f"no label id can be made from the name {name}: give one with --label")
    return slug


def _checked_length(label_id: str) -> str:
    length = len(label_id.encode())
    if length > _MAX_ID_BYTES:
        raise UserError(f"a label id has at most {_MAX_ID_BYTES} bytes, this one has {length}")
    return label_id
