"""`facestream label`, `unlabel` and `reject`: name a face, remove its name, exclude a name from it."""

from __future__ import annotations

from typing import Annotated

import typer

from cli.decide import CommonFields, DecisionContext, decide
from cli.options import Author, Data, FaceId, Json, Note
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
            help="The person's label id, to distinguish people of one name or to change a name.",
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
    """Name a face. The name stays until another decision replaces it, and is proposed for the faces around it."""
    whole_name = normalize_spaces(name, "the name")

    def make(context: DecisionContext, fields: CommonFields) -> Decision:
        person = person_to_name(whole_name, label_id, context.decisions.people())
        return FaceNamed(
            **fields,
            face_id=context.face_id(face_id),
            label_id=person.label_id,
            name=person.name,
            authority=None if authority is None else normalize_spaces(authority, "the authority"),
        )

    decide(make, command="label", author=author, note=note, data=data, json_=json_)


def unlabel(face_id: FaceId, author: Author, note: Note = None, data: Data = None, json_: Json = False) -> None:
    """Remove the name of a face, whoever gave it."""

    def make(context: DecisionContext, fields: CommonFields) -> Decision:
        return NameTakenBack(**fields, face_id=context.face_id(face_id))

    decide(make, command="unlabel", author=author, note=note, data=data, json_=json_)


def reject(
    face_id: FaceId,
    name: Annotated[str, typer.Argument(metavar="NAME", help="The name of a person who was named, or their label id.")],
    author: Author,
    note: Note = None,
    data: Data = None,
    json_: Json = False,
) -> None:
    """Decide that a face is never this person. The name is not proposed for it again."""
    whole_name = normalize_spaces(name, "the name")

    def make(context: DecisionContext, fields: CommonFields) -> Decision:
        person = known_person(whole_name, context.decisions.people())
        return NameRejected(**fields, face_id=context.face_id(face_id), label_id=person.label_id)

    decide(make, command="reject", author=author, note=note, data=data, json_=json_)
