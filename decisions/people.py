"""Finds the person that a typed name stands for, or makes a label id for a new one. Pure.

Names are compared in Unicode's NFC, without regard to case and spaces.
"""

from __future__ import annotations

import re
import shlex
import unicodedata
from collections.abc import Iterable, Mapping
from functools import lru_cache
from itertools import count

from decisions.identities import Person
from decisions.refusals import Refusal
from errors import UserError

# Below the 1,300 bytes that the catalogue's indexes can hold (`catalogue.limits`).
_MAX_ID_BYTES = 1_000

# Characters that reorder the text around them (Unicode Standard Annex 9), so that a name would look like another.
_BIDI_CONTROLS = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


def checked_text(text: str, field: str) -> str:
    """Typed text in NFC, with single spaces and none at the ends. Line ends and tabs are spaces.

    Raises UserError, which calls the text `field`, where it is empty, not UTF-8, or has control characters.
    """
    try:
        text.encode()
    except UnicodeEncodeError as error:
        # Bytes of the command line that are not UTF-8 arrive as lone surrogates (PEP 383).
        message = f"{field} is not text in UTF-8: {text.encode(errors='replace').decode()}"
        raise Refusal(message, "not-utf-8", field=field) from error
    spaced = re.sub(r"[\t\n\r\v\f]", " ", text)
    for character in spaced:
        if unicodedata.category(character) == "Cc" or character in _BIDI_CONTROLS:
            code = f"U+{ord(character):04X}"
            message = f"{field} has a control character, {code}: leave it out"
            raise Refusal(message, "control-character", field=field, character=code)
    normalized = " ".join(unicodedata.normalize("NFC", spaced).split())
    if not normalized:
        raise Refusal(f"{field} is empty", "empty", field=field)
    return normalized


def optional_text(text: str | None, field: str) -> str | None:
    """The same of a text that may be absent."""
    return None if text is None else checked_text(text, field)


def person_to_name(name: str, label_id: str | None, known_labels: Mapping[str, Person]) -> Person:
    """The person that a face is named as.

    With `label_id` it is that person, who has to have this name, or a new one. Without, it is the one of `known_labels`
    (by label id) with this name, or a new person whose label id is made of the name.

    Raises UserError where several people have the name, where the person of the label id has another one, and where a
    label id is empty or too long.
    """
    if label_id is not None:
        label_id = _checked_length(checked_text(label_id, "the label id"))
        person = known_labels.get(label_id)
        if person is not None and _folded(person.name) != _folded(name):
            raise Refusal(
                f"{label_id} is {person.name}, and naming a face does not change that: "
                f"facestream people rename {shlex.quote(label_id)} {shlex.quote(name)} does",
                "other-name",
                label_id=label_id,
                name=person.name,
            )
        return person or Person(label_id, name, None)
    known = _people_called(name, known_labels.values())
    if len(known) == 1:
        return known[0]
    if known:
        label_ids = ", ".join(person.label_id for person in known)
        message = f"{len(known)} people are called {name}: {label_ids}; say which with --label"
        raise Refusal(message, "several-people", count=len(known), name=name)
    new_id = _checked_length(_slug(name))
    if new_id in known_labels:
        raise Refusal(
            f"the label id {new_id}, which {name} would have, is that of {known_labels[new_id].name}: if that is the "
            "same person, give that name, otherwise give another label id with --label",
            "label-id-taken",
            label_id=new_id,
            name=name,
            other=known_labels[new_id].name,
        )
    return Person(new_id, name, None)


def known_person(text: str, known_labels: Mapping[str, Person]) -> Person:
    """The one of `known_labels` (by label id) with this label id or name.

    Raises UserError where none has it, or several.
    """
    if text in known_labels:
        return known_labels[text]
    known = _people_called(text, known_labels.values())
    if not known:
        raise UserError(f"nobody is called {text}: facestream people lists who was named")
    if len(known) > 1:
        label_ids = " or ".join(person.label_id for person in known)
        raise UserError(f"{len(known)} people are called {text}: give the label id instead, {label_ids}")
    return known[0]


def find_people(text: str, people: Mapping[str, Person], limit: int = 10) -> list[Person]:
    """The people whom somebody may mean who has begun to type a name; at most `limit`, likeliest first.

    Those with this name, then those whose name begins so, then those of whose name each typed word begins some word.
    """
    typed = _folded(text)

    def rank(person: Person) -> int | None:
        name = _folded(person.name)
        words = name.split()
        if name == typed:
            return 0
        if name.startswith(typed):
            return 1
        return 2 if all(any(word.startswith(part) for word in words) for part in typed.split()) else None

    ranked = ((rank(person), _folded(person.name), person.label_id) for person in people.values())
    found = sorted((number, name, label_id) for number, name, label_id in ranked if number is not None)
    return [people[label_id] for _, _, label_id in found[:limit]]


def free_label_id(name: str, known_labels: Mapping[str, Person]) -> str:
    """A label id for a new person, also where other people have the same name: `anna-tamm-2`. Raises UserError."""
    slug = _slug(name)
    numbered = (f"{slug}-{number}" for number in count(2))
    return _checked_length(slug if slug not in known_labels else next(it for it in numbered if it not in known_labels))


def _people_called(name: str, people: Iterable[Person]) -> list[Person]:
    called = {person.label_id: person for person in people if _folded(person.name) == _folded(name)}
    return [called[label_id] for label_id in sorted(called)]


# A name is looked for among those of all people, with every letter that somebody types.
@lru_cache(maxsize=1 << 18)
def _folded(name: str) -> str:
    # Normalized last: folding may leave a text that is not in NFC.
    return unicodedata.normalize("NFC", " ".join(unicodedata.normalize("NFC", name).split()).casefold())


def _slug(name: str) -> str:
    """A label id made of a name: lower-case letters of any script and digits, with dashes for everything else."""
    slug = re.sub(r"[\W_]+", "-", _folded(name)).strip("-")
    if not slug:
        raise Refusal(f"no label id can be made from the name {name}: give one with --label", "no-label-id", name=name)
    return slug


def _checked_length(label_id: str) -> str:
    length = len(label_id.encode())
    if length > _MAX_ID_BYTES:
        message = f"a label id has at most {_MAX_ID_BYTES} bytes, this one has {length}"
        raise Refusal(message, "label-id-too-long", most=_MAX_ID_BYTES, length=length)
    return label_id
