"""What is secret is in no error, log or file, however it was mistyped."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest
import structlog

from cli import commands
from cli.common import load_settings
from cli.logs import log_to_stderr
from cli.main import main
from errors import UserError
from settings import DatabaseSettings
from settings.hiding import hidden, password_of

PASSWORD = "gehe1m&Nisse"


@pytest.fixture
def ended(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> str:
    """What a command says that cannot connect, by the settings of the environment."""
    monkeypatch.setattr(sys, "argv", ["facestream", "clusters"])
    with pytest.raises(SystemExit) as end:
        main()
    assert end.value.code == 1
    printed = capsys.readouterr()
    assert printed.out == ""
    return printed.err


MISTYPED = [
    f"postgresql://user:{PASSWORD}@127.0.0.1:1/db",
    f"postgresql//user:{PASSWORD}@127.0.0.1/db",
    f"postgresql:/user:{PASSWORD}@127.0.0.1/db",
    f"postgres:user:{PASSWORD}@127.0.0.1/db",
    f"user:{PASSWORD}@127.0.0.1/db",
    "postgresql://user:gehe1m/Nisse@127.0.0.1:1/db",
    "postgresql://user:gehe1m@Nisse@127.0.0.1:1/db",
    "postgresql://user:gehe1m%zzNisse@127.0.0.1:1/db",
    "postgresql://user:gehe1m#Nisse@127.0.0.1:70000/db",
    f"host=127.0.0.1 port=1 user=a password={PASSWORD}",
    f"host=127.0.0.1 port=1 user=a password='{PASSWORD}' dbname",
    f"host=127.0.0.1 port=no user=a password = {PASSWORD}",
]


@pytest.mark.parametrize("url", MISTYPED)
def test_the_address_of_a_database_is_never_shown_with_its_password(
    url: str, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    monkeypatch.setenv("FACESTREAM_DATABASE__URL", url)
    line = request.getfixturevalue("ended")
    assert line.startswith("facestream: PostgreSQL ")
    assert line.count("\n") == 1
    assert not re.search("gehe1m|Nisse", line)
    assert PASSWORD not in repr(DatabaseSettings(url=url))


def test_a_mistyped_name_of_a_setting_is_shown_without_its_value(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FACESTREAM_KAFKA__SASL_PASSWRD", PASSWORD)
    with pytest.raises(UserError, match=r"^FACESTREAM_KAFKA__SASL_PASSWRD: Extra inputs are not permitted$"):
        load_settings()


def test_secrets_of_the_environment_and_logins_in_uris_are_hidden_wherever_they_are_printed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    secrets = {
        "FACESTREAM_KAFKA__SASL_PASSWORD": "kafka-s3cret",
        "FACESTREAM_DESK__OIDC_CLIENT_SECRET": "oidc-s3cret",
        "AWS_SECRET_ACCESS_KEY": "aws/s3cret",
        "AWS_SESSION_TOKEN": "token-s3cret",
    }
    for name, value in secrets.items():
        monkeypatch.setenv(name, value)
    text = f"{' '.join(secrets.values())} https://ann:p-s3cret@host/a.jpg?sig=x-s3cret and {tmp_path}"

    def fail() -> None:
        structlog.get_logger().warning("failed", reason=text)
        raise KeyError(text)

    log_to_stderr()
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setattr(commands.Entry, "load", lambda _: fail)
    monkeypatch.setattr(sys, "argv", ["facestream", "clusters"])
    with pytest.raises(SystemExit) as end:
        main()
    assert end.value.code == 1
    err = capsys.readouterr().err
    (kept,) = tmp_path.glob("*.traceback")
    assert "s3cret" not in err + kept.read_text()
    assert str(tmp_path) in err
    assert "Traceback" not in err
    assert "Traceback" in kept.read_text()
    assert kept.stat().st_mode & 0o077 == 0
    assert err.splitlines()[-1].startswith("facestream: KeyError: ")


def test_secrets_that_are_files_are_hidden_too(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "FACESTREAM_KAFKA__SASL_PASSWORD").write_text("kafka-s3cret\n")
    (tmp_path / "FACESTREAM_DATABASE__URL").write_text("postgresql://user:p-s3cret@host/db")
    monkeypatch.setenv("FACESTREAM_SECRETS", str(tmp_path))
    assert "s3cret" not in hidden("kafka-s3cret and 'p-s3cret' are wrong")


def test_words_that_are_no_secrets_stay() -> None:
    assert password_of("postgresql://user@host/db") == ""
    assert hidden("the port 5432 of host", {"FACESTREAM_DATABASE__URL": "postgresql://user@host:5432/db"}) == (
        "the port 5432 of host"
    )
    assert hidden("a pw", {"FACESTREAM_KAFKA__SASL_PASSWORD": "pw"}) == "a pw"
