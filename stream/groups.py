"""The consumer groups a broker knows."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection

from kafka.errors import KafkaError

from errors import Fatal
from settings import KafkaSettings
from stream import clients
from stream.lag import groups_of, lag_reader

_LOOK_AGAIN_S = 0.5


def known_groups(kafka: KafkaSettings) -> set[str]:
    """The names of all groups that have members or committed offsets. Raises Fatal if the broker does not answer."""
    admin = clients.admin(kafka)
    try:
        return groups_of(admin)
    except KafkaError as error:
        raise Fatal(f"the Kafka broker at {kafka.bootstrap_servers} does not list its groups ({error})") from error
    finally:
        admin.close()


def delete_group(kafka: KafkaSettings, group: str) -> None:
    """Delete a group with its offsets, if it is there. Raises Fatal where it has members, or no broker answers."""
    if group not in known_groups(kafka):
        return
    admin = clients.admin(kafka)
    try:
        result = clients.patiently(admin.delete_groups)([group])[group]
    except KafkaError as error:
        raise Fatal(f"the group {group} cannot be deleted ({error})") from error
    finally:
        admin.close()
    if result != "OK":
        raise Fatal(f"the group {group} cannot be deleted ({result})")


def left_after(
    kafka: KafkaSettings,
    groups: Collection[str],
    within_s: float,
    waiting: Callable[[list[str]], None] = lambda _: None,
) -> list[str]:
    """Wait until nobody is in any of these groups; those that have members after so many seconds.

    One that has ended or was killed counts until its session has lapsed. `waiting` is called once, with those that are
    waited for.
    """
    deadline = time.monotonic() + within_s
    is_reported = False
    with lag_reader(kafka) as reader:
        while running := [group for group in groups if reader.has_members(group)]:
            if time.monotonic() > deadline:
                return running
            if not is_reported:
                waiting(running)
                is_reported = True
            time.sleep(_LOOK_AGAIN_S)
    return []
