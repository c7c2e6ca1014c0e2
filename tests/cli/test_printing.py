"""What people wrote is printed as it is: no markup, no control characters that reach the terminal."""

from __future__ import annotations

import io

import pytest
from rich.table import Table

from cli.printing import PlainConsole, shown
from cli.progress import ProgressLines
from schemas.decisions import NameRejected
from tests.builders.catalogue import WriteMessages, analysed, assigned, dead, face, published, suggested
from tests.builders.commands import Facestream
from tests.builders.decisions import a_decision, named

NAMES = ("Smith [née Jones]", "Anna [/Y]", "[bold]Eve", ":heart: [link=x]y[/link]", "C:\\temp [/]")


@pytest.mark.parametrize("name", NAMES)
def test_brackets_and_colons_are_printed_in_lines_tables_and_titles(name: str) -> None:
    out = io.StringIO()
    console = PlainConsole(file=out, width=200)
    table = Table("name", title=f"People like {name}")
    table.add_row(name)
    console.print(table)
    console.print(f"one is {name}", soft_wrap=True)
    assert " ".join(out.getvalue().split()).count(" ".join(name.split())) == 3


def test_control_characters_are_printed_as_escapes_and_letters_of_all_scripts_as_they_are() -> None:
    out = io.StringIO()
    PlainConsole(file=out, width=200).print("a\x1b[31mb\x07c\rd\ne\udce4f\u202eg")
    assert out.getvalue() == "a\\x1b[31mb\\x07c\\rd\\ne\\udce4f\\u202eg\n"
    for name in ("Õie Mägi", "क्\u200dष", "李小龍", "😀"):
        assert shown(name) == name


def test_every_command_shows_names_with_brackets_as_they_are(
    facestream: Facestream, write: WriteMessages, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "250")
    scan, name, other = "album [/x]/1.jpg", "Smith [née Jones]", "Anna [/Y]"
    write("scans", published(scan, "file:///album%20[/x]/1.jpg"))
    write("faces", analysed(scan, face("g1"), face("g2", [0.1]), face("g3", [0.2])))
    write("assignments", assigned("g1", scan, "g1", name="smith"), assigned("g2", scan, "g1", name="anna"))
    write("assignments", suggested("g3", scan, "g1", ("smith", 0.5), ("anna", 0.5)))
    write("labels", named(1, "g1", "smith", name=name), named(2, "g2", "anna", name=other))
    write("labels", a_decision(NameRejected, 3, face_id="gone", label_id="anna", author="[Ann]"))
    write("dead-letters", dead(b"[/key]", "not a [picture]"))
    for command, expected in (
        (["people"], (name, other)),
        (["clusters"], (f"{other}, {name}", scan)),
        (["candidates", "smith"], (name, scan)),
        (["suggest", "g3"], (name, other)),
        (["show", "g1"], (name, scan, "file:///album%20[/x]/1.jpg")),
        (["next"], (scan,)),
        (["similar", "g1"], (scan,)),
        (["orphans"], (other, "[Ann]")),
        (["dead-letters"], ("[/key]", "not a [picture]")),
    ):
        ended = facestream(*command)
        assert (ended.code, ended.err) == (0, ""), command
        assert [text for text in expected if text not in ended.out] == [], command


def test_without_a_terminal_progress_is_a_line_now_and_then() -> None:
    out, now = io.StringIO(), [0.0]
    lines = ProgressLines(PlainConsole(file=out), lambda: now[0])
    for second in range(100):
        now[0] = float(second)
        lines.update(f"scans: {min(second, 70)} of 70")
    assert out.getvalue().splitlines() == ["scans: 30 of 70", "scans: 60 of 70", "scans: 70 of 70"]
    terminal = io.StringIO()
    lines = ProgressLines(PlainConsole(file=terminal, force_terminal=True), lambda: 1000.0)
    lines.every_s = 0
    lines.update("scans: 1 of 2")
    assert terminal.getvalue() == ""
