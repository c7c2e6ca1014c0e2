"""What the tests of pages ask a page and its archive."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from playwright.sync_api import Page

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
