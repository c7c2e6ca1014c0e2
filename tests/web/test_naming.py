"""An archivist at the keyboard: names, skips, undoes, and types names that nobody has yet."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.builders.clock import wait_until
from tests.builders.desk import DeskArchive
from tests.builders.pages import NewPage, PressedKeys, names_of, subject, wait_for

_PEOPLE = 10


@pytest.fixture(scope="module")
def archive_of_ten(archive: DeskArchive, tmp_path_factory: pytest.TempPathFactory) -> DeskArchive:
    """Ten people, each named in one cluster and unnamed in another, which looks like them."""
    scans = tmp_path_factory.mktemp("ten")
    archive.publish_all(scans, [(person, half, range(2)) for person in range(_PEOPLE) for half in range(2)])
    archive.wait_until_done()
    archive.name_all({f"face-{person:02}-0-0": f"Person {person:02}" for person in range(_PEOPLE)})
    archive.wait_until_done()
    return archive


def test_ten_faces_are_named_by_keyboard_with_one_key_each(archive_of_ten: DeskArchive, new_page: NewPage) -> None:
    page = new_page("/next")
    keys = PressedKeys(page)
    named: dict[str, str] = {}
    while len(named) < _PEOPLE:
        face_id = subject(page)
        named[face_id] = page.locator(".proposals .proposed").first.inner_text()
        keys.press("Enter")
        expect(page.locator("#answer")).to_contain_text(named[face_id])
        wait_for(page, "face => document.querySelector('[data-page]').dataset.face !== face", face_id)
    assert keys.count <= 2 * _PEOPLE
    assert named == {face_id: f"Person {face_id.split('-')[1]}" for face_id in named}
    archive_of_ten.wait_until_done()
    assert names_of(archive_of_ten, named) == {face_id: f"person-{face_id.split('-')[1]}" for face_id in named}
    expect(page.get_by_role("heading", name="Nothing to name now")).to_be_visible()


def test_a_naming_is_undone_with_one_key_and_the_face_is_shown_again(
    archive_of_ten: DeskArchive, new_page: NewPage, scans: Path
) -> None:
    archive_of_ten.publish(scans, 11, 0, range(2))
    archive_of_ten.wait_until_done()
    page = new_page("/next")
    face_id = subject(page)
    page.keyboard.press("A")
    page.keyboard.type("da Lovelace")
    page.keyboard.press("Enter")
    expect(page.locator("#answer")).to_contain_text("Named: Ada Lovelace")
    page.keyboard.press("Control+z")
    expect(page.locator("#answer")).to_contain_text("Undone: is Ada Lovelace")
    wait_for(page, "face => document.querySelector('[data-page]').dataset.face === face", face_id)
    archive_of_ten.wait_until_done()
    assert names_of(archive_of_ten, [face_id]) == {face_id: None}


@pytest.mark.usefixtures("archive_of_ten")
def test_a_skipped_face_is_not_shown_again_until_one_starts_over(new_page: NewPage) -> None:
    page = new_page("/next")
    face_id = subject(page)
    page.keyboard.press("s")
    expect(page.get_by_role("heading", name="Nothing to name now")).to_be_visible()
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Who is this?")).to_be_visible()
    assert subject(page) == face_id


@pytest.mark.usefixtures("archive_of_ten")
def test_what_is_not_a_face_is_in_no_cluster_and_not_asked_for(new_page: NewPage) -> None:
    page = new_page("/next")
    face_id = subject(page)
    page.keyboard.press("n")
    expect(page.locator("#answer")).to_contain_text("Not a face")
    wait_for(page, "face => document.querySelector('[data-page]').dataset.face !== face", face_id)
    page.keyboard.press("Control+z")
    expect(page.locator("#answer")).to_contain_text("Undone")


def test_whoever_is_not_sure_says_so_with_one_key_and_sees_another_face(
    archive_of_ten: DeskArchive, new_page: NewPage, scans: Path
) -> None:
    archive_of_ten.publish(scans, 2, 1, [2])
    archive_of_ten.wait_until_done()
    page = new_page("/next?face=face-02-1-2")
    expect(page.get_by_role("button", name="Not sure: Person 02?")).to_be_visible()
    page.keyboard.press("u")
    expect(page.locator("#answer")).to_contain_text("Not sure: it is not asked for a while")
    wait_for(page, "document.querySelector('[data-page]').dataset.face !== 'face-02-1-2'")
    page.keyboard.press("Control+z")
    expect(page.locator("#answer")).to_contain_text("Undone: is maybe Person 02")
    wait_for(page, "document.querySelector('[data-page]').dataset.face === 'face-02-1-2'")


def test_typing_finds_the_person_whose_name_begins_so(archive_of_ten: DeskArchive, new_page: NewPage) -> None:
    page = new_page("/next")
    face_id = subject(page)
    page.keyboard.type("Person 0")
    expect(page.get_by_role("option")).to_have_count(8)
    page.keyboard.press("ArrowDown")
    expect(page.get_by_role("option", selected=True)).to_have_text(re.compile("Person 01"))
    page.keyboard.press("Enter")
    expect(page.locator("#answer")).to_contain_text("Named: Person 01")
    wait_until(lambda: names_of(archive_of_ten, [face_id]) == {face_id: "person-01"}, "not named")
