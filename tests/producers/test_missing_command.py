"""`facestream missing` and `facestream withdraw --missing`, on a real broker."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from typer import Typer
from typer.testing import CliRunner, Result

from cli.missing import missing
from cli.withdraw import withdraw
from errors import UserError
from settings import KafkaSettings
from tests.builders.feed import feed_files, feed_scans, scan
from tests.builders.kafka import name_broker

COMMANDS: dict[str, Callable[..., None]] = {"missing": missing, "withdraw": withdraw}


@pytest.fixture(autouse=True)
def _broker(kafka: KafkaSettings, monkeypatch: pytest.MonkeyPatch) -> None:
    name_broker(kafka, monkeypatch)


def run(command: str, *arguments: str, answer: str = "") -> Result:
    app = Typer()
    app.command()(COMMANDS[command])
    return CliRunner().invoke(app, arguments, input=answer)


def test_scans_whose_file_is_gone_are_listed_and_withdrawn_after_a_question(
    kafka: KafkaSettings, tmp_path: Path
) -> None:
    for name in ("a.png", "b.png", "deep/c.png", "[bold].png"):
        (tmp_path / "box" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "box" / name).write_text(f"{tmp_path} {name}")
    feed_files(kafka, tmp_path / "box")
    nothing = run("missing")
    assert "Scans whose file is gone: 0" in nothing.stdout
    assert run("withdraw", "--missing").stdout == "scans withdrawn: 0\n"

    for name in ("b.png", "deep/c.png", "[bold].png"):
        (tmp_path / "box" / name).unlink()
    (tmp_path / "box" / "deep").rmdir()
    ids = ["box/[bold].png", "box/b.png", "box/deep/c.png"]
    lines = [json.loads(line) for line in run("missing", "--json").stdout.splitlines()]
    assert [line["scan_id"] for line in lines] == ids
    assert lines[1]["path"] == str(tmp_path / "box" / "b.png")
    assert lines[2]["reason"] == f"the folder {tmp_path}/box/deep is gone"
    printed = run("missing").stdout
    assert "Scans whose file is gone: 3" in printed
    assert "box/[bold].png" in printed
    assert "facestream withdraw --missing" in printed

    refused = run("withdraw", "--missing", answer="n\n")
    assert isinstance(refused.exception, UserError)
    assert str(refused.exception) == "nothing was withdrawn"
    assert f"scans whose file is gone: 3\n  2 of {tmp_path}/box\n  1 of {tmp_path}/box/deep\n" in refused.stdout
    assert run("withdraw", "--missing").exit_code == 1
    assert len(run("missing", "--json").stdout.splitlines()) == 3

    done = run("withdraw", "--missing", answer="y\n")
    assert done.stdout.endswith("scans withdrawn: 3\n")
    assert run("missing", "--json").stdout == ""
    assert feed_files(kafka, tmp_path / "box").already_there == 1

    (tmp_path / "box" / "a.png").unlink()
    assert run("withdraw", "--missing", "--yes").stdout.endswith("scans withdrawn: 1\n")


def test_the_scans_of_a_drive_that_may_be_away_are_not_withdrawn(kafka: KafkaSettings, tmp_path: Path) -> None:
    (tmp_path / "nas" / "box").mkdir(parents=True)
    (tmp_path / "nas" / "box" / "a.png").write_text(str(tmp_path))
    feed_files(kafka, tmp_path / "nas")
    (tmp_path / "nas").rename(tmp_path / "put aside")
    (tmp_path / "nas").mkdir()
    done = run("withdraw", "--missing", "--yes")
    assert done.stdout == "scans withdrawn: 0\n"
    assert (
        f"not counted as gone: 1 scans ({tmp_path}/nas is empty, as if a drive were not mounted there; "
        "remove this folder if its files are really deleted)\n" in done.stderr
    )
    (tmp_path / "nas").rmdir()
    assert run("withdraw", "--missing", "--yes").stdout.endswith("scans withdrawn: 1\n")


@pytest.mark.parametrize("arguments", [[], ["--missing", "some/scan"]])
def test_scans_are_named_or_missing_not_both(arguments: list[str]) -> None:
    ended = run("withdraw", *arguments)
    assert isinstance(ended.exception, UserError)
    assert str(ended.exception) == "name the scans to withdraw: their ids, or --missing alone"


def test_a_scan_in_another_store_is_counted(kafka: KafkaSettings, collection: str) -> None:
    feed_scans(kafka, scan(collection, uri="s3://bucket/a.jpg"))
    assert "scans in other stores, which are not looked at: 1\n" in run("missing").stdout
