"""`facestream people`: everybody who was named, and the decisions about people: rename, merge, remove."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from catalogue import decisions
from cli.archive import open_catalogue
from cli.common import load_settings
from cli.options import Author, Data, Json, KnownName, Note
from cli.printing import console, folded, number, print_rows, stderr
from decisions.actions import Merge, Remove, Rename
from decisions.people import checked_text, find_people
from errors import UserError

if TYPE_CHECKING:
    from cli.decide import DecisionContext
    from decisions.actions import Action
    from decisions.holding import Decisions


def people(context: typer.Context, data: Data = None, json_: Json = False) -> None:
    """Everybody who was named, with how many faces have the name and for how many it is proposed.

    With a command: rename a person, merge two who are one, or remove one.
    """
    if context.invoked_subcommand is not None:
        if data is not None or json_:
            raise UserError(f"give the options after the command: facestream people {context.invoked_subcommand} …")
        return
    with open_catalogue(load_settings(data), "people") as connection:
        named = decisions.people(connection)
    if json_:
        print_rows(named)
        return
    table = Table(
        *("name", folded("label"), number("named"), number("proposed"), folded("authority")),
        title=f"People: {len(named):,}",
    )
    for person in named:
        table.add_row(person.name, person.label_id, f"{person.hard:,}", f"{person.soft:,}", person.authority or "")
    console.print(table)


def rename(
    person: KnownName,
    name: Annotated[str, typer.Argument(metavar="NEW_NAME", help="What the person is called from now on.")],
    author: Author,
    authority: Annotated[
        str | None,
        typer.Option(
            metavar="URI",
            help='The person in an authority file, such as VIAF or Wikidata; "" removes it.',
            show_default="as it was",
        ),
    ] = None,
    note: Note = None,
    data: Data = None,
    json_: Json = False,
) -> None:
    """Decide what a person is called. All their faces stay theirs."""
    checked_text(name, "the name")
    all_decisions = _decide(
        lambda context: Rename(label_id=context.person(person).label_id, name=name, authority=authority),
        command="people rename",
        author=author,
        note=note,
        data=data,
        json_=json_,
    )
    namesakes = find_people(name, all_decisions.people(), limit=2)
    if len(namesakes) > 1 and checked_text(namesakes[1].name, "the name") == checked_text(name, "the name"):
        first, second = (it.label_id for it in namesakes)
        stderr.print(
            f"{first} and {second} are called so: if they are one person, facestream people merge {first} {second}",
            soft_wrap=True,
        )


def merge(
    person: KnownName,
    other: Annotated[str, typer.Argument(metavar="OTHER_NAME", help="Who is the same person; this name is not kept.")],
    author: Author,
    note: Note = None,
    data: Data = None,
    json_: Json = False,
) -> None:
    """Decide that two people are one, who keeps the first name and label. An undo divides them again."""
    _decide(
        lambda context: Merge(label_id=context.person(person).label_id, other_label_id=context.person(other).label_id),
        command="people merge",
        author=author,
        note=note,
        data=data,
        json_=json_,
    )


def remove(person: KnownName, author: Author, note: Note = None, data: Data = None, json_: Json = False) -> None:
    """Decide that there is no such person: their faces have no name any more. An undo restores all of it."""
    _decide(
        lambda context: Remove(label_id=context.person(person).label_id),
        command="people remove",
        author=author,
        note=note,
        data=data,
        json_=json_,
    )


def _decide(
    make: Callable[[DecisionContext], Action],
    *,
    command: str,
    author: str,
    note: str | None,
    data: Path | None,
    json_: bool,
) -> Decisions:
    # Imported here, since the list of people needs no Kafka.
    from cli.decide import decide

    return decide(make, command=command, author=author, note=note, data=data, json_=json_)
