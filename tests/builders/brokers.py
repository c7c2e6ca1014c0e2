"""Three brokers on this machine, as three hosts would have them: each topic on all of them, confirmed by two."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from kafka.errors import KafkaError
from ruamel.yaml import YAML

from errors import Fatal
from local.jars import DEPLOY, jars, java
from settings import KafkaSettings
from stream import clients
from tests.builders.access import free_port
from tests.builders.clock import wait_until

_CLUSTER_ID = "ZmFjZXN0cmVhbS10aHJlZQ"


@dataclass(frozen=True)
class Brokers:
    """processes: by the number of the broker, from 1."""

    kafka: KafkaSettings
    processes: dict[int, subprocess.Popen[bytes]]

    def kill(self, number: int) -> None:
        """kill -9 of one of them."""
        self.processes[number].kill()
        self.processes[number].wait()


@contextmanager
def three_brokers(folder: Path) -> Iterator[Brokers]:
    """They run until the end of the context."""
    ports = {number: (free_port(), free_port()) for number in (1, 2, 3)}
    voters = ",".join(f"{number}@127.0.0.1:{port}" for number, (_, port) in ports.items())
    command = [java(), "-Xmx256m", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-XX:-UsePerfData"]
    command += [f"-Dlog4j2.configurationFile={DEPLOY / 'log4j2.properties'}", "-cp", f"{jars()}/*"]
    kafka = KafkaSettings(bootstrap_servers=",".join(f"127.0.0.1:{port}" for port, _ in ports.values()))
    with ExitStack() as stack:
        processes = {}
        for number, (port, controller_port) in ports.items():
            own = folder / str(number)
            own.mkdir(parents=True)
            (own / "server.properties").write_text(_properties(number, port, controller_port, voters))
            tool = ["kafka.tools.StorageTool", "format", f"--cluster-id={_CLUSTER_ID}", "--config=server.properties"]
            environment = os.environ | {"LC_ALL": "C.UTF-8"}
            subprocess.run([*command, *tool], cwd=own, env=environment, check=True, capture_output=True)
            log = stack.enter_context((own / "broker.log").open("wb"))
            processes[number] = subprocess.Popen(
                [*command, "kafka.Kafka", "server.properties"], cwd=own, env=environment, stdout=log, stderr=log
            )
            stack.callback(_end, processes[number])
        wait_until(lambda: _all_know_all(kafka), "the three brokers do not come up", within_s=120)
        yield Brokers(kafka, processes)


def _end(process: subprocess.Popen[bytes]) -> None:
    process.kill()
    process.wait()


def _all_know_all(kafka: KafkaSettings) -> bool:
    addresses = str(kafka.bootstrap_servers).split(",")
    return all(_known(kafka.model_copy(update={"bootstrap_servers": one})) == len(addresses) for one in addresses)


def _known(kafka: KafkaSettings) -> int:
    """How many brokers the one at this address knows."""
    try:
        with closing(clients.admin(kafka)) as admin:
            return len(admin.describe_cluster()["brokers"])
    except (KafkaError, Fatal):
        return 0


def _properties(number: int, port: int, controller_port: int, voters: str) -> str:
    """Those of the project, and after them what is different on several hosts: later ones count."""
    return (
        (DEPLOY / "server.properties").read_text()
        + f"""
node.id={number}
listeners=LOCAL://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller_port}
advertised.listeners=LOCAL://127.0.0.1:{port}
listener.security.protocol.map=LOCAL:PLAINTEXT,CONTROLLER:PLAINTEXT
inter.broker.listener.name=LOCAL
controller.quorum.voters={voters}
log.dirs=log
{_replication()}
"""
    )


def _replication() -> str:
    """What `deploy/kafka/hosts.yml` sets besides addresses, as properties."""
    service = YAML(typ="safe").load((DEPLOY / "hosts.yml").read_text())["services"]["kafka"]
    return "\n".join(
        f"{name.removeprefix('KAFKA_').lower().replace('_', '.')}={value}"
        for name, value in service["environment"].items()
        if name.endswith(("_REPLICATION_FACTOR", "_REPLICAS", "_ISR"))
    )
