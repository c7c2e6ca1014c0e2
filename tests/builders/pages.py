"""What the tests of pages ask a page and its archive."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable

from playwright.sync_api import Page

from catalogue import reader
from catalogue.connection import connect
from tests.builders.desk import DeskArchive

NewPage = Callable[..., Page]
"""Opens a page of the desk, in a browser context of its own."""


class PressedKeys:
    """Presses keys, and counts them."""

    def __init__(self, page: Page) -> None:
        self._page = page
        self.count = 0

    def press(self, key: str) -> None:
        self.count += 1
        self._page.keyboard.press(key)


def subject(page: Page) -> str:
    """The face that a page is about."""
    page.wait_for_selector("[data-page][data-face]")
    return str(page.locator("[data-page]").get_attribute("data-face"))


def names_of(archive: DeskArchive, face_ids: Iterable[str]) -> dict[str, str | None]:
    """The hard label of each of these faces in the catalogue."""
    with connect(archive.settings.database) as connection:
        rows = connection.execute(
            "SELECT face_id, label_id FROM face_catalogue WHERE face_id = ANY(%s)", (list(face_ids),)
        ).fetchall()
    return dict(rows)


def unnamed(archive: DeskArchive) -> list[str]:
    """The faces without a hard label in the catalogue."""
    with connect(archive.settings.database) as connection:
        return [str(row[0]) for row in connection.execute("SELECT face_id FROM face_catalogue WHERE label_id IS NULL")]


def scans_in(archive: DeskArchive) -> int:
    """The number of scans in the catalogue."""
    with connect(archive.settings.database) as connection:
        return reader.counts(connection).scans


def wait_for(page: Page, expression: str, argument: object = None, within_s: float = 60) -> None:
    """Wait until an expression in JavaScript is true. Playwright's own waiting is forbidden by the desk's policy."""
    deadline = time.monotonic() + within_s
    while not page.evaluate(expression, argument):
        if time.monotonic() > deadline:
            raise TimeoutError(f"not true within {within_s} s: {expression} of {argument}")
        page.wait_for_timeout(30)
