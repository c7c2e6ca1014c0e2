"""The commands are listed without importing them, and each imports only what it needs."""

from __future__ import annotations

import ast
import inspect
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from cli.commands import COMMANDS

HEAVY = {"hnswlib", "kafka", "numpy", "onnxruntime", "PIL", "psycopg", "pydantic", "scipy", "structlog"}


def modules_after(*arguments: str) -> set[str]:
    """The top-level modules that a process has imported once it has run `facestream` with these arguments."""
    program = "import sys\nfrom cli.main import main\ntry:\n    main()\nfinally:\n    print('imported', *sys.modules)\n"
    done = subprocess.run(
        [sys.executable, "-c", program, *arguments],
        cwd=Path(__file__).parents[2],
        env=os.environ | {"FACESTREAM_AUTHOR": "Ann"},
        capture_output=True,
        text=True,
        check=False,
    )
    last_line = done.stdout.splitlines()[-1]
    assert last_line.startswith("imported "), done.stderr
    return {name.partition(".")[0] for name in last_line.split()[1:]}


@pytest.mark.parametrize("name", COMMANDS)
def test_the_help_line_is_the_docstring_of_the_command_that_is_run(name: str) -> None:
    entry = COMMANDS[name]
    docstring = inspect.getdoc(entry.load())
    assert docstring
    assert entry.help() == docstring


def test_every_function_with_the_option_data_is_in_the_table() -> None:
    """A command that is written but not listed would be missing from the program."""
    written = {
        f"{source.stem}:{node.name}"
        for source in Path(__file__).parents[2].joinpath("cli").glob("*.py")
        for node in ast.parse(source.read_text()).body
        if isinstance(node, ast.FunctionDef)
        for argument in node.args.args
        if argument.annotation is not None and ast.unparse(argument.annotation) == "Data"
    }
    below = {target for entry in COMMANDS.values() for target in entry.commands.values()}
    assert written == {entry.target for entry in COMMANDS.values()} | below


@pytest.mark.process
def test_the_help_lists_every_command_with_its_line_in_its_panel() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "cli.main", "--help"],
        cwd=Path(__file__).parents[2],
        env=os.environ | {"COLUMNS": "200", "TERM": "dumb", "NO_COLOR": "1"},
        capture_output=True,
        text=True,
        check=True,
    )
    position = 0
    for panel in dict.fromkeys(entry.panel for entry in COMMANDS.values()):
        position = done.stdout.index(f" {panel} ", position)
        for entry in COMMANDS.values():
            if entry.panel == panel:
                line = " ".join(entry.help().partition("\n\n")[0].split())
                found = re.compile(rf" {entry.name} +{re.escape(line)}").search(done.stdout, position)
                assert found is not None, entry.name
                position = found.end()


@pytest.mark.process
def test_the_help_of_the_program_imports_nothing_heavy() -> None:
    imported = modules_after("--help")
    assert {"cli", "typer"} <= imported
    assert not imported & (HEAVY | {"catalogue", "clustering", "consumers", "index", "models", "settings", "stream"})


@pytest.mark.process
@pytest.mark.parametrize("name", ["next", "show", "people"])
def test_a_question_to_the_catalogue_imports_no_kafka_and_no_networks(name: str) -> None:
    imported = modules_after(name, "--help")
    assert {"psycopg", "settings"} <= imported
    assert not imported & {"clustering", "hnswlib", "kafka", "numpy", "onnxruntime", "PIL", "scipy"}


@pytest.mark.process
@pytest.mark.parametrize("name", ["label", "status"])
def test_a_command_that_needs_kafka_imports_no_networks_and_no_clustering(name: str) -> None:
    imported = modules_after(name, "--help")
    assert {"kafka", "psycopg"} <= imported
    assert not imported & {"clustering", "hnswlib", "numpy", "onnxruntime", "PIL", "scipy"}


@pytest.mark.process
def test_a_mistyped_command_is_answered_with_those_like_it() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "cli.main", "lable"],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert "Did you mean 'label'" in done.stderr
