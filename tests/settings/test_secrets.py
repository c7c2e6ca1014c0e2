"""Settings as files, as Docker and Kubernetes mount secrets."""

from __future__ import annotations

from pathlib import Path

import pytest

from cli.common import load_settings
from errors import UserError


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("FACESTREAM_SECRETS", str(tmp_path))
    return tmp_path


def test_a_file_is_a_setting(folder: Path) -> None:
    (folder / "FACESTREAM_DATABASE__URL").write_text("postgresql://facestream:secret@db/facestream\n")
    (folder / "FACESTREAM_KAFKA__SASL_PASSWORD").write_text("secret")
    settings = load_settings()
    assert settings.database.url == "postgresql://facestream:secret@db/facestream"
    assert settings.kafka.sasl_password is not None and settings.kafka.sasl_password.get_secret_value() == "secret"


def test_files_lie_as_kubernetes_mounts_them(folder: Path) -> None:
    (folder / "..2026_11").mkdir()
    (folder / "..2026_11" / "FACESTREAM_DATABASE__URL").write_text("postgresql://db/x")
    (folder / "..data").symlink_to(folder / "..2026_11")
    (folder / "FACESTREAM_DATABASE__URL").symlink_to(Path("..data", "FACESTREAM_DATABASE__URL"))
    assert load_settings().database.url == "postgresql://db/x"


def test_the_environment_comes_first_and_the_rest_of_a_group_from_files(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "FACESTREAM_KAFKA__SASL_PASSWORD").write_text("of the file")
    (folder / "FACESTREAM_KAFKA__SASL_USERNAME").write_text("of the file")
    monkeypatch.setenv("FACESTREAM_KAFKA__SASL_USERNAME", "of the environment")
    kafka = load_settings().kafka
    assert kafka.sasl_username == "of the environment"
    assert kafka.sasl_password is not None and kafka.sasl_password.get_secret_value() == "of the file"


def test_a_folder_that_is_not_there_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FACESTREAM_SECRETS", "/nowhere")
    with pytest.raises(UserError, match=r"^FACESTREAM_SECRETS: /nowhere cannot be read: No such file or directory$"):
        load_settings()


def test_what_a_wrong_secret_holds_is_not_shown(folder: Path) -> None:
    (folder / "FACESTREAM_DESK__SESSION_SECRET").write_text("too short")
    with pytest.raises(UserError) as caught:
        load_settings()
    assert "too short" not in str(caught.value) and "FACESTREAM_DESK" in str(caught.value)
