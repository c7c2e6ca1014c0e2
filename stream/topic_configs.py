"""What topics and brokers are configured with, and changing it; a refusal is an error.

kafka-python raises none: it returns what the broker answers to a change, and nothing where a user may not read.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from kafka import KafkaAdminClient
from kafka.admin import ConfigResource, ConfigResourceType

from errors import Fatal

_DONE = "OK"


def topic_configs(admin: KafkaAdminClient, names: Collection[str]) -> Mapping[str, Mapping[str, Any]]:
    """The configuration of these topics, as kafka-python describes each value. Raises Fatal where it is not given."""
    return _described(admin, ConfigResourceType.TOPIC, names)


def broker_configs(admin: KafkaAdminClient, ids: Collection[str]) -> Mapping[str, Mapping[str, Any]]:
    """The configuration of these brokers. Raises Fatal where it is not given."""
    return _described(admin, ConfigResourceType.BROKER, ids)


def alter(admin: KafkaAdminClient, changes: Mapping[str, Mapping[str, str]]) -> None:
    """Configure topics, by name, with these values. Raises Fatal where the broker refuses one."""
    resources = [_topic(name, dict(values)) for name, values in changes.items() if values]
    if resources:
        _check(admin.alter_configs(resources))


def reset(admin: KafkaAdminClient, names: Mapping[str, Collection[str]]) -> None:
    """Let topics, by name, have the broker's own values of these names. Raises Fatal where the broker refuses one."""
    resources = [_topic(name, list(values)) for name, values in names.items() if values]
    if resources:
        _check(admin.reset_configs(resources))


def _described(
    admin: KafkaAdminClient, kind: ConfigResourceType, names: Collection[str]
) -> Mapping[str, Mapping[str, Any]]:
    if not names:
        return {}
    resources = [ConfigResource(kind, name, configs=None) for name in names]
    what = kind.name.lower()
    found: Mapping[str, Mapping[str, Any]] = admin.describe_configs(resources, config_filter="all").get(what, {})
    for name in names:
        if not found.get(name):
            on = f"the topic {name}" if kind is ConfigResourceType.TOPIC else "the cluster"
            raise Fatal(
                f"the Kafka broker does not show how {what} {name} is configured: its user needs the right "
                f"DescribeConfigs on {on}"
            )
    return found


def _topic(name: str, configs: dict[str, str] | list[str]) -> ConfigResource:
    return ConfigResource(ConfigResourceType.TOPIC, name, configs=configs)


def _check(results: Mapping[str, Mapping[str, str]]) -> None:
    for name, result in results.get("topic", {}).items():
        if result != _DONE:
            raise Fatal(
                f"the Kafka broker refuses to configure topic {name} ({result}): a policy of the broker, or a user "
                f"without the right AlterConfigs on the topic {name}"
            )
