"""How to connect to the embedded broker: its address and a password, in a file that only the folder's owner can read.

The broker makes the file at its first start and keeps both from then on. It has the form that kcat and other clients
based on librdkafka take as it is.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from pathlib import Path

from pydantic import SecretStr

from local.errors import LocalServiceError

FILE = "client.conf"
USER = "facestream"
PROTOCOL = "SASL_PLAINTEXT"
MECHANISM = "PLAIN"

_CONTENT = """\
# How subscribers connect to this archive's broker: kcat -F {file} -t assignments -e
bootstrap.servers=127.0.0.1:{port}
security.protocol={protocol}
sasl.mechanisms={mechanism}
sasl.username={user}
sasl.password={password}
"""


@dataclass(frozen=True)
class Access:
    """The port of a broker at 127.0.0.1, None where it has none yet, and the password of `USER`."""

    port: int | None
    password: SecretStr

    @property
    def address(self) -> str:
        """The broker's address."""
        return f"127.0.0.1:{self.port}"

    @property
    def settings(self) -> dict[str, object]:
        """The settings (`settings.KafkaSettings`) that connect to it."""
        return {
            "bootstrap_servers": self.address,
            "security_protocol": PROTOCOL,
            "sasl_mechanism": MECHANISM,
            "sasl_username": USER,
            "sasl_password": self.password,
        }


def access(folder: Path) -> Access:
    """What the file in the broker's folder says; a new password where there is none.

    Raises LocalServiceError where the file is another user's, or damaged.
    """
    try:
        lines = (folder / FILE).read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        lines = []
    except UnicodeDecodeError as error:
        raise LocalServiceError(
            f"{folder / FILE}, which has the password of the embedded Kafka, is damaged: delete it while nothing runs, "
            "and the next start makes another one"
        ) from error
    except OSError as error:
        raise LocalServiceError(
            f"{folder / FILE}, which has the password of the embedded Kafka, cannot be read: {error.strerror}"
        ) from error
    values = dict(line.split("=", 1) for line in lines if "=" in line and not line.startswith("#"))
    port = values.get("bootstrap.servers", "").rpartition(":")[2]
    password = values.get("sasl.password") or secrets.token_urlsafe(32)
    return Access(int(port) if port.isdecimal() else None, SecretStr(password))


def keep(folder: Path, found: Access) -> None:
    """Write the file. Raises OSError."""
    content = _CONTENT.format(
        file=FILE,
        port=found.port,
        protocol=PROTOCOL,
        mechanism=MECHANISM,
        user=USER,
        password=found.password.get_secret_value(),
    )
    write_for_owner(folder / FILE, content)


def write_for_owner(path: Path, content: str) -> None:
    """Write a file that only its owner can read, in place of the one before. Raises OSError."""
    new = path.with_name(f"{path.name}.new")
    new.unlink(missing_ok=True)
    new.touch(mode=0o600, exist_ok=False)
    new.write_text(content, encoding="utf-8")
    new.replace(path)
