"""`facestream dead-letters`: the records that could not be used; to see why, to send them again, to drop them."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from catalogue.dead_letters import LetterFilter, StoredDeadLetter, stored
from cli.archive import connected, open_archive, open_catalogue
from cli.common import load_settings, moment, now
from cli.options import Data, Json
from cli.printing import console, folded, minute, print_json, print_line, print_values
from errors import UserError

if TYPE_CHECKING:
    from psycopg import Connection

    from producers.dead_letters import Letter, Outcome
    from schemas.topics import Record

# What `show` prints of a value for a person.
_SHOWN = 2_000

_IDS_HELP = "The dead letter's id, as the list shows it: topic/partition/offset/consumer."
Limit = Annotated[int, typer.Option(min=1, help="Show at most this many, the latest first.")]
Stage = Annotated[str | None, typer.Option(help="Those of this consumer: detect, index, cluster, catalogue.")]
Reason = Annotated[str | None, typer.Option(metavar="TEXT", help="Those whose reason has this text in it.")]
Since = Annotated[datetime | None, typer.Option(help="Those from this time on, in the local time zone.")]
Until = Annotated[datetime | None, typer.Option(help="Those before this time.")]
Ids = Annotated[list[str] | None, typer.Argument(metavar="[ID]…", help=_IDS_HELP, show_default=False)]
All = Annotated[bool, typer.Option("--all", help="All of them.")]


def dead_letters(
    context: typer.Context,
    limit: Limit = 50,
    stage: Stage = None,
    reason: Reason = None,
    since: Since = None,
    until: Until = None,
    data: Data = None,
    json_: Json = False,
) -> None:
    """The records that could not be used: which, by which consumer, and why.

    With a command: show one, retry those that can be used now, or drop those that nobody needs.
    """
    if context.invoked_subcommand is None:
        list_(limit, stage, reason, since, until, data, json_)
    elif data is not None or json_:
        raise UserError(f"give the options after the command: facestream dead-letters {context.invoked_subcommand} …")


def list_(
    limit: Limit = 50,
    stage: Stage = None,
    reason: Reason = None,
    since: Since = None,
    until: Until = None,
    data: Data = None,
    json_: Json = False,
) -> None:
    """List them, the latest first. Resolved are those whose scan was analysed since."""
    wanted = _filter(None, stage, reason, since, until)
    with open_catalogue(load_settings(data), "dead-letters") as connection:
        letters = stored(connection, limit, wanted)
    if json_:
        for letter in letters:
            print_json(_fields(letter))
        return
    if not letters:
        console.print("no dead letters")
        return
    table = Table(folded("id"), folded("key"), "time", "reason")
    for letter in letters:
        resolved = "resolved: its scan was analysed since. It was " if letter.resolved else ""
        table.add_row(letter.id, letter.key or "", minute(letter.time), resolved + letter.reason)
    console.print(table)


def show(
    letter_id: Annotated[str, typer.Argument(metavar="ID", help=_IDS_HELP)],
    data: Data = None,
    json_: Json = False,
) -> None:
    """Show one with its original: key, headers and value."""
    from producers.dead_letters import attempts_of, with_originals

    settings = load_settings(data)
    with open_archive(settings, "dead-letters show") as running, connected(running.database) as connection:
        (found,) = _chosen(connection, LetterFilter(ids=[letter_id]))
        (letter,) = with_originals(running.kafka, [_letter(found)])
    original = letter.original
    fields = _fields(found) | {"attempts": attempts_of(original) if original else 0}
    if json_:
        print_json(fields | {"original": _record(original) if original else None})
        return
    rows = [(name, "" if value is None else str(value)) for name, value in fields.items()]
    if original is None:
        rows.append(("original", "it is no longer there"))
    else:
        rows += [(f"header {name}", _text(value)) for name, value in original.headers]
        rows.append(("value", _text(original.value)))
    print_values(letter_id, rows)


def retry(
    ids: Ids = None,
    stage: Stage = None,
    reason: Reason = None,
    since: Since = None,
    until: Until = None,
    all_: All = False,
    data: Data = None,
    json_: Json = False,
) -> None:
    """Send the originals again to where they came from: for when what was wrong is put right.

    A record is left where a later one of its key has superseded it, and where its scan was analysed since.
    """
    from producers.dead_letters import Outcome, retry, with_originals

    wanted = _some(ids, stage, reason, since, until, all_=all_)
    with open_archive(load_settings(data), "dead-letters retry") as running, connected(running.database) as connection:
        found = _chosen(connection, wanted)
        resolved = [Outcome(_letter(one), "left", "its scan was analysed since") for one in found if one.resolved]
        letters = with_originals(running.kafka, [_letter(one) for one in found if not one.resolved])
        outcomes = [*retry(running.kafka, letters, now), *resolved]
    _print(outcomes, json_=json_)


def drop(
    ids: Ids = None,
    stage: Stage = None,
    reason: Reason = None,
    since: Since = None,
    until: Until = None,
    all_: All = False,
    data: Data = None,
    json_: Json = False,
) -> None:
    """Take them off the list. The topic keeps them for a year."""
    from producers.dead_letters import drop

    wanted = _some(ids, stage, reason, since, until, all_=all_)
    with open_archive(load_settings(data), "dead-letters drop") as running, connected(running.database) as connection:
        outcomes = drop(running.kafka, [_letter(one) for one in _chosen(connection, wanted)], now)
    _print(outcomes, json_=json_)


def _filter(
    ids: Sequence[str] | None, stage: str | None, reason: str | None, since: datetime | None, until: datetime | None
) -> LetterFilter:
    return LetterFilter(
        list(ids) if ids else None,
        stage,
        reason,
        since and moment("--since", since),
        until and moment("--until", until),
    )


def _some(
    ids: Sequence[str] | None,
    stage: str | None,
    reason: str | None,
    since: datetime | None,
    until: datetime | None,
    *,
    all_: bool,
) -> LetterFilter:
    """The filter of a command that changes something. Raises UserError where nothing says which are meant."""
    wanted = _filter(ids, stage, reason, since, until)
    if wanted == LetterFilter() and not all_:
        raise UserError("say which dead letters: their ids, --stage, --reason, --since, --until, or --all")
    return wanted


def _chosen(connection: Connection, wanted: LetterFilter) -> list[StoredDeadLetter]:
    """The dead letters that are wanted. Raises UserError where an id is unknown."""
    found = stored(connection, None, wanted)
    unknown = sorted(set(wanted.ids or ()) - {letter.id for letter in found})
    if unknown:
        raise UserError(f"there is no dead letter {unknown[0]}: see facestream dead-letters")
    return found


def _letter(found: StoredDeadLetter) -> Letter:
    from producers.dead_letters import Letter

    return Letter(found.topic, found.partition, found.offset, found.consumer, found.time)


def _fields(letter: StoredDeadLetter) -> dict[str, object]:
    return {
        "id": letter.id,
        "topic": letter.topic,
        "partition": letter.partition,
        "offset": letter.offset,
        "consumer": letter.consumer,
        "key": letter.key,
        "reason": letter.reason,
        "time": letter.time,
        "resolved": letter.resolved,
    }


def _record(record: Record) -> dict[str, object]:
    """A record as JSON: its bytes as base64."""
    return {
        "key": _base64(record.key),
        "value": _base64(record.value),
        "headers": [[name, _base64(value)] for name, value in record.headers],
    }


def _base64(value: bytes | None) -> str | None:
    return None if value is None else base64.b64encode(value).decode()


def _text(value: bytes | None) -> str:
    if value is None:
        return "(none)"
    more = f"… ({len(value):,} bytes)" if len(value) > _SHOWN else ""
    return value[:_SHOWN].decode(errors="backslashreplace") + more


def _print(outcomes: Sequence[Outcome], *, json_: bool) -> None:
    from schemas.dead_letters import letter_id

    done = 0
    for outcome in outcomes:
        name = letter_id(*outcome.letter.place, outcome.letter.consumer)
        done += outcome.result != "left"
        if json_:
            print_json({"id": name, "result": outcome.result, "reason": outcome.reason})
        else:
            print_line(f"{name}: {outcome.result}" + (f", {outcome.reason}" if outcome.reason else ""))
    if not json_:
        print_line(f"{done:,} of {len(outcomes):,} settled: the list follows when the catalogue has read that")
