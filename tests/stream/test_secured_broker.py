"""A remote broker with TLS and a password: settings alone connect to it, and wrong ones are reported in one line."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from kafka import KafkaAdminClient
from kafka.admin import ACL, ACLOperation, ACLPermissionType, ResourcePattern, ResourceType

from cli.supervisor import as_environment
from errors import Fatal
from local import kafka as embedded
from local.access import USER
from local.jars import java
from local.keeper import Keeper
from schemas.examples import EXAMPLES
from schemas.generations import GenerationDefined
from schemas.topics import SCANS, TOPICS, Topic
from settings import KafkaSettings, Settings
from stream import clients
from stream.groups import known_groups
from stream.topic_configs import broker_configs
from stream.topic_states import apply, topic_states
from stream.topics import ensure_topics, extent
from tests.builders.clock import now, wait_until
from tests.builders.commands import facestream
from tests.builders.kafka import publish

_PASSWORD = "a secret of 1918"
_TLS = """
ssl.keystore.type=PKCS12
ssl.keystore.location={keystore}
ssl.keystore.password={password}
listener.name.sasl_ssl.plain.sasl.jaas.config=\\
  org.apache.kafka.common.security.plain.PlainLoginModule required \\
  user_archive="{password}" user_guest="{password}";
authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer
super.users=User:archive;User:{own}
"""


@pytest.fixture(scope="module")
def secured(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    """The settings that connect to it."""
    folder = tmp_path_factory.mktemp("secured")
    keystore, certificate = folder / "broker.p12", folder / "broker.pem"
    _keytool(keystore, "-genkeypair", "-keyalg", "RSA", "-dname", "CN=archive", "-ext", "san=ip:127.0.0.1")
    _keytool(keystore, "-exportcert", "-rfc", "-file", str(certificate))
    (port,) = embedded.free_ports(1)
    with pytest.MonkeyPatch.context() as patch:
        # A second listener beside that of the embedded broker.
        listeners = embedded._LISTENERS.replace("=LOCAL://", f"=SASL_SSL://127.0.0.1:{port},LOCAL://")
        listeners = listeners.replace("=LOCAL:", "=SASL_SSL:SASL_SSL,LOCAL:")
        patch.setattr(embedded, "_LISTENERS", listeners + _TLS.format(keystore=keystore, password=_PASSWORD, own=USER))
        with Keeper(print) as keeper:
            keeper.start(embedded.Broker(folder / "kafka", print))
            yield {
                "bootstrap_servers": f"127.0.0.1:{port}",
                "security_protocol": "SASL_SSL",
                "sasl_mechanism": "PLAIN",
                "sasl_username": "archive",
                "sasl_password": _PASSWORD,
                "ssl_cafile": certificate,
            }


def _keytool(keystore: Path, *arguments: str) -> None:
    tool = Path(java()).resolve().with_name("keytool")
    options = ["-alias", "broker", "-keystore", str(keystore), "-storetype", "PKCS12", "-storepass", _PASSWORD]
    subprocess.run([str(tool), *arguments, *options], check=True, capture_output=True)


def test_settings_alone_connect_to_a_broker_with_tls_and_a_password(secured: dict[str, Any]) -> None:
    settings = KafkaSettings.model_validate(secured)
    ensure_topics(settings)
    ensure_topics(settings, TOPICS)  # present now, and checked
    assert known_groups(settings) == set()


def allow(admin: KafkaAdminClient, user: str, topic: str, operation: ACLOperation) -> None:
    pattern = ResourcePattern(ResourceType.TOPIC, topic)
    admin.create_acls([ACL(f"User:{user}", "*", operation, ACLPermissionType.ALLOW, pattern)])


def test_a_user_who_may_not_read_or_change_a_configuration_learns_what_right_is_missing(
    secured: dict[str, Any],
) -> None:
    own = KafkaSettings.model_validate(secured)
    ensure_topics(own)
    guest = KafkaSettings.model_validate(secured | {"sasl_username": "guest"})
    with closing(clients.admin(own)) as admin, closing(clients.admin(guest)) as guests:

        def refusal(call: Callable[[], object]) -> str:
            with pytest.raises(Fatal) as refused:
                call()
            return str(refused.value)

        allow(admin, "guest", SCANS.name, ACLOperation.DESCRIBE)
        wait_until(lambda: SCANS.name in guests.list_topics(), "the right is not there")
        unreadable = "the Kafka broker does not show how topic scans is configured: its user needs the right"
        assert refusal(lambda: topic_states(guests, [SCANS])).startswith(unreadable)
        assert refusal(lambda: extent(guest, SCANS.name, now())).startswith(unreadable)
        assert "DescribeConfigs on the cluster" in refusal(lambda: broker_configs(guests, ["1"]))
        allow(admin, "guest", SCANS.name, ACLOperation.DESCRIBE_CONFIGS)
        wait_until(lambda: is_shown(guests, SCANS), "the right is not there")
        differing = topic_states(guests, [replace(SCANS, retention=timedelta(days=1))])
        refused = refusal(lambda: apply(guests, differing))
        assert refused.startswith("the Kafka broker refuses to configure topic scans (")
        assert "without the right AlterConfigs on the topic scans" in refused


def is_shown(admin: KafkaAdminClient, topic: Topic) -> bool:
    try:
        return bool(topic_states(admin, [topic]))
    except Fatal:
        return False


@pytest.mark.parametrize(
    ("changed", "complaint"),
    [
        ({"sasl_password": "wrong"}, "(username or password|user or password is wrong)"),
        ({"security_protocol": "PLAINTEXT"}, "security_protocol"),
        ({"ssl_cafile": None}, "certificate verify failed"),
    ],
)
def test_wrong_settings_are_reported_in_one_line(
    secured: dict[str, Any], changed: dict[str, Any], complaint: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(KafkaAdminClient.DEFAULT_CONFIG, "bootstrap_timeout_ms", 4000)
    settings = KafkaSettings.model_validate(secured | changed)
    with pytest.raises(Fatal, match=complaint) as refused:
        ensure_topics(settings)
    assert "\n" not in str(refused.value)
    assert secured["bootstrap_servers"] in str(refused.value)
    assert _PASSWORD not in str(refused.value)


def _may_see_topics(user: str) -> list[ACL]:
    """The rights to list topics and how they are configured, without that to read them."""
    topics = ResourcePattern(ResourceType.TOPIC, "*")
    rights = (ACLOperation.DESCRIBE, ACLOperation.DESCRIBE_CONFIGS)
    return [ACL(user, "*", right, ACLPermissionType.ALLOW, topics) for right in rights]


@pytest.mark.process
@pytest.mark.parametrize("command", ["topics", "generations"])
def test_what_a_user_has_no_right_to_is_one_line(
    secured: dict[str, Any], command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = KafkaSettings.model_validate(secured)
    ensure_topics(settings)
    with closing(clients.admin(settings)) as admin:
        admin.create_acls(_may_see_topics("User:guest"))
    publish(settings, [EXAMPLES[GenerationDefined]])
    guest = KafkaSettings.model_validate(secured | {"sasl_username": "guest"})
    for name, value in as_environment(Settings(data=tmp_path, kafka=guest)).items():
        monkeypatch.setenv(name, value)
    ended = facestream(command)
    assert (ended.returncode, ended.stderr.count("\n")) == (1, 1), ended.stderr
    assert ended.stderr.startswith(f"facestream: the Kafka broker at {guest.bootstrap_servers} refuses it: "), ended
