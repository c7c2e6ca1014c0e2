"""The consumer groups a broker knows."""

from __future__ import annotations

from kafka import KafkaAdminClient
from kafka.errors import KafkaError

from errors import Fatal
from settings import KafkaSettings
from stream import clients


def known_groups(kafka: KafkaSettings) -> set[str]:
    """The names of all groups that have members or committed offsets. Raises Fatal if the broker does not answer."""
    admin = clients.admin(kafka)
    try:
        return _known_groups(admin)
    except KafkaError as error:
        raise Fatal(f"the Kafka broker at {kafka.bootstrap_servers} does not list its groups ({error})") from error
    finally:
        admin.close()


@clients.patiently
def _known_groups(admin: KafkaAdminClient) -> set[str]:
    # A broker that has just started lists no groups, without an error, until it begins to load them. A request for the
    # offsets of any group, known or not, is answered only after that.
    admin.list_group_offsets(["any"])
    return {group["group_id"] for group in admin.list_groups()}
