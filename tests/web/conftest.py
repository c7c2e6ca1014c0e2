"""A real Chromium, and an archive with a desk on a real broker and a real database."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import structlog
from playwright.sync_api import Browser, Page, expect, sync_playwright

from settings import KafkaSettings
from tests.builders.database import empty_database
from tests.builders.desk import DeskArchive, desk_archive
from tests.builders.pages import NewPage


@pytest.fixture(autouse=True)
def _log_is_a_file_that_stays() -> None:
    """The desk's thread logs while pytest replaces sys.stdout; Python crashes where one prints to what is going away.

    `tests/conftest.py` takes it back after each test.
    """
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.__stderr__))


@pytest.fixture(scope="session")
def chromium() -> str:
    """Where Chromium is; skips where it is absent, but for CI, where it has to be there."""
    found = shutil.which("chromium") or shutil.which("chromium-browser")
    if found is None:
        message = "no chromium on this machine: apt-get install chromium"
        if os.environ.get("CI"):
            pytest.fail(message)
        pytest.skip(message)
    return found


@pytest.fixture(scope="session")
def browser(chromium: str) -> Iterator[Browser]:
    """A browser without a window."""
    # Without a sandbox, since the tests may be run as root.
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        yield started
        started.close()


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory, kafka: KafkaSettings, server: str) -> Iterator[DeskArchive]:
    """An archive of one test module's own, empty at first, with a desk."""
    with (
        empty_database(server) as database,
        desk_archive(tmp_path_factory.mktemp("desk"), kafka, database) as started,
    ):
        yield started


@pytest.fixture
def scans(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for scans."""
    return tmp_path_factory.mktemp("scans")


@pytest.fixture
def new_page(browser: Browser, archive: DeskArchive) -> Iterator[NewPage]:
    """Opens a page of the desk in a browser context of its own: of another person, as far as the desk knows."""
    expect.set_options(timeout=30_000)
    contexts = []

    def opened(path: str = "/next", **options: Any) -> Page:  # noqa: ANN401 - those of Playwright
        context = browser.new_context(base_url=archive.address, **options)
        contexts.append(context)
        page = context.new_page()
        page.goto(path)
        return page

    yield opened
    for context in contexts:
        context.close()
