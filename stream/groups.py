"""The consumer groups a broker knows."""

from __future__ import annotations

from settings import KafkaSettings
from stream import clients


def known_groups(kafka: KafkaSettings) -> set[str]:
    """The names of all groups that have members or committed offsets. Raises Fatal if the broker does not answer."""
    admin = clients.admin(kafka)
    try:
        return {group["group_id"] for group in admin.list_groups()}
    finally:
        admin.close()
