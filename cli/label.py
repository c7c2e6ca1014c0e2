"""`facestream label`, `unlabel` and `reject`: who a face is, that it has no name, who it never is."""

from __future__ import annotations

from typing import Annotated

import typer

from cli.common import Data, Json
from cli.deciding import Author, Desk, FaceId, Fields, Note, decide_and_tell
from decisions.people import known_person, normalize_spaces, person_to_name
from schemas.decisions import Decision, FaceNamed, NameRejected, NameTakenBack


def label(
    face_id: FaceId,
    name: Annotated[str, typer.Argument(metavar="NAME", help="The person's name, as people are to read it.")],
    author: Author,
    label_id: Annotated[
        str | None,
        typer.Option(
            "--label",
            metavar="ID",
            help="The person's label id, to tell people of one name apart or to change a name.",
            show_default="that of the person of this name, or one made from the name",
        ),
    ] = None,
    authority: Annotated[
        str | None,
        typer.Option(
            metavar="URI", help="The person in an authority file, such as VIAF or Wikidata.", show_default=False
        ),
    ] = None,
    note: Note = None,
    data: Data = None,
    json_: Json = False,
) -> None:
    """Name a face. It is that person until somebody says otherwise, and the faces around it are proposed to be."""
    said = normalize_spaces(name, "the name")

    def make(at: Desk, fields: Fields) -> Decision:
        person = person_to_name(said, label_id, at.held.people())
        return FaceNamed(
            **fields,
            face_id=at.face_id(face_id),
            label_id=person.label_id,
            name=person.name,
            authority=None if authority is None else normalize_spaces(authority, "the authority"),
        )

    decide_and_tell(make, command="label", author=author, note=note, data=data, json_=json_)


def unlabel(face_id: FaceId, author: Author, note: Note = None, data: Data = None, json_: Json = False) -> None:
    """Take the name of a face back, whoever gave it."""

    def make(at: Desk, fields: Fields) -> Decision:
        return NameTakenBack(**fields, face_id=at.face_id(face_id))

    decide_and_tell(make, command="unlabel", author=author, note=note, data=data, json_=json_)


def reject(
    face_id: FaceId,
    name: Annotated[str, typer.Argument(metavar="NAME", help="The name of a person who was named, or their label id.")],
    author: Author,
    note: Note = None,
    data: Data = None,
    json_: Json = False,
) -> None:
    """Say that a face is never this person. The name is not proposed for it again."""
    called = normalize_spaces(name, "the name")

    def make(at: Desk, fields: Fields) -> Decision:
        person = known_person(called, at.held.people())
        return NameRejected(**fields, face_id=at.face_id(face_id), label_id=person.label_id)

    decide_and_tell(make, command="reject", author=author, note=note, data=data, json_=json_)
