"""`facestream topics`: the topics as they are on the broker, and what of them differs from what they should be."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

import typer
from rich.table import Table

from cli.archive import kafka_errors_in_one_line
from cli.common import load_settings
from cli.options import Data, Json
from cli.printing import console, folded, number, print_json, print_line
from errors import UserError
from local.services import services
from stream import clients, topic_states
from stream.generations import known_topics
from stream.topic_states import TopicState


def topics(
    apply: Annotated[bool, typer.Option("--apply", help="Configure what differs as it should be.")] = False,
    check: Annotated[
        bool, typer.Option("--check", help="Exit with status 1 where the broker is not as promised.")
    ] = False,
    data: Data = None,
    json_: Json = False,
) -> None:
    """The topics: partitions, replicas, and configuration that is not what this program would create them with.

    A retention that changed since a topic was made reaches it with --apply only. Nothing else of its configuration is
    changed, and partitions and replicas stay as they are. --check is for scripts: the exit status is 1 where something
    differs, or where the broker does not compact at all, so that what is erased would stay.
    """
    with (
        services(load_settings(data), database=False, existing=True, command="topics") as running,
        kafka_errors_in_one_line(running.kafka),
    ):
        admin = clients.admin(running.kafka)
        try:
            known = known_topics(running.kafka, admin)
            states = topic_states.topic_states(admin, known, running.kafka.erased_within_h)
            if apply:
                topic_states.apply(admin, states)
            compacts = topic_states.compacts(admin)
        finally:
            admin.close()
    if json_:
        for state in states:
            print_json(_as_json(state))
    else:
        _print(states, apply)
    if check:
        _check(states, compacts, applied=apply)


def _check(states: Sequence[TopicState], compacts: bool, *, applied: bool) -> None:
    """Raises UserError where the broker is not as promised."""
    if not compacts:
        raise UserError("the broker does not compact (log.cleaner.enable=false): what is erased stays in its topics")
    differing = [state.topic.name for state in states if state.differing and not applied]
    if differing:
        raise UserError(f"not as promised: {', '.join(differing)}; facestream topics --apply changes it")


def _print(states: Sequence[TopicState], applied: bool) -> None:
    table = Table("topic", number("partitions"), number("replicas"), folded("differs"), title="Topics")
    for state in states:
        differing = [f"{name}={has}, not {wanted}" for name, (has, wanted) in state.differing.items()]
        table.add_row(state.topic.name, f"{state.partitions}", f"{state.replicas}", "\n".join(differing))
    console.print(table)
    count = sum(len(state.differing) for state in states)
    if count:
        print_line(f"{count} was changed" if applied else f"{count} would be changed: facestream topics --apply")


def _as_json(state: TopicState) -> dict[str, Any]:
    return {
        "topic": state.topic.name,
        "topic_id": state.topic_id,
        "partitions": state.partitions,
        "replicas": state.replicas,
        "config": dict(state.config),
        "differing": {name: {"has": has, "wanted": wanted} for name, (has, wanted) in state.differing.items()},
    }
