"""A person's page: one question after the other, and people who are merged, renamed and removed."""

from __future__ import annotations

import httpx2 as httpx
import pytest
from playwright.sync_api import Page, expect

from tests.builders.clock import wait_until
from tests.builders.desk import DeskArchive
from tests.builders.pages import NewPage, PressedKeys, names_of, wait_for

_QUESTIONS = 20


@pytest.fixture(scope="module")
def archive_of_one(archive: DeskArchive, tmp_path_factory: pytest.TempPathFactory) -> DeskArchive:
    """A person with one named face, and as many faces that may be theirs as are asked for."""
    scans = tmp_path_factory.mktemp("one")
    archive.publish_all(scans, [(0, 0, [0]), (0, 1, range(_QUESTIONS)), (1, 0, range(2))])
    archive.wait_until_done()
    archive.name("face-00-0-0", "Grace Hopper")
    archive.wait_until_done()
    return archive


@pytest.fixture(scope="module")
def archive_of_two(archive_of_one: DeskArchive) -> DeskArchive:
    """The same with another person, Gracie."""
    archive_of_one.name("face-01-0-0", "Gracie")
    archive_of_one.wait_until_done()
    return archive_of_one


def asked(page: Page) -> str:
    """The face that is asked about; empty where there is none."""
    question = page.locator("[data-question]:visible")
    return str(question.get_attribute("data-question")) if question.count() else ""


def test_a_part_about_a_person_who_is_gone_meanwhile_adds_nothing_to_the_page(archive_of_one: DeskArchive) -> None:
    address = f"{archive_of_one.address}/clusters-that-may-be/nobody"
    assert httpx.get(address, headers={"HX-Request": "true"}).status_code == 204
    whole = httpx.get(address, headers={"HX-Request": "true", "HX-Target": "part"})
    assert whole.status_code == 404 and "There is no such page" in whole.text


@pytest.mark.usefixtures("archive_of_one")
def test_a_cluster_that_may_be_the_person_is_proposed_as_a_whole(new_page: NewPage) -> None:
    page = new_page("/person/grace-hopper")
    expect(page.get_by_role("heading", name="Clusters that may be Grace Hopper")).to_be_visible()
    card = page.locator("a.card")
    expect(card).to_contain_text("20 faces")
    expect(card).to_contain_text("nobody named yet")
    card.click()
    expect(page.locator("[data-page=cluster]")).to_be_visible()


def test_twenty_questions_are_answered_with_twenty_keys(archive_of_one: DeskArchive, new_page: NewPage) -> None:
    page = new_page("/person/grace-hopper")
    keys = PressedKeys(page)
    expect(page.locator("[data-question]:visible")).to_have_count(1)
    answers: dict[str, str] = {}
    for number in range(_QUESTIONS):
        face_id = asked(page)
        answers[face_id] = "ny"[number % 5 > 0]
        keys.press(answers[face_id])
        wait_for(
            page, "face => document.querySelector('[data-question]:not([hidden])')?.dataset.question !== face", face_id
        )
    assert keys.count == len(answers) == _QUESTIONS
    expect(page.get_by_text("No face is left to ask about.")).to_be_visible()
    expected = {face_id: "grace-hopper" if answer == "y" else None for face_id, answer in answers.items()}
    wait_until(lambda: names_of(archive_of_one, answers) == expected, lambda: str(names_of(archive_of_one, answers)))


def test_two_people_are_merged_and_separated_again_by_undo(archive_of_two: DeskArchive, new_page: NewPage) -> None:
    page = new_page("/person/grace-hopper")
    page.get_by_label("The other person").type("Gra")
    expect(page.get_by_role("option").filter(has_text="Gracie")).to_be_visible()
    page.get_by_role("option").filter(has_text="Gracie").click()
    page.get_by_role("button", name="Merge with another person").click()
    expect(page.locator("#answer")).to_contain_text("Merged: Grace Hopper")
    page.goto("/person/gracie")
    expect(page.get_by_role("heading", level=1)).to_have_text("Grace Hopper")
    archive_of_two.wait_until_done()
    assert names_of(archive_of_two, ["face-01-0-0"]) == {"face-01-0-0": "grace-hopper"}
    page.keyboard.press("Control+z")
    expect(page.locator("#answer")).to_contain_text("Undone")
    wait_until(
        lambda: names_of(archive_of_two, ["face-01-0-0"]) == {"face-01-0-0": "gracie"}, "the merge is not undone"
    )


def test_a_person_is_renamed_and_keeps_their_faces(archive_of_two: DeskArchive, new_page: NewPage) -> None:
    page = new_page("/person/gracie")
    page.get_by_label("New name").fill("Õie [née Jões]")
    page.get_by_role("button", name="Rename the person").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Õie [née Jões]")
    assert names_of(archive_of_two, ["face-01-0-0"]) == {"face-01-0-0": "gracie"}
    page.goto("/people")
    expect(page.get_by_role("link", name="Õie [née Jões]")).to_be_visible()


@pytest.mark.usefixtures("archive_of_two")
def test_a_person_is_removed_and_restored(new_page: NewPage) -> None:
    page = new_page("/person/gracie")
    name = page.get_by_role("heading", level=1).inner_text()
    page.get_by_role("button", name="Remove the person").click()
    expect(page.locator("#answer")).to_contain_text("Removed")
    expect(page.get_by_role("heading", level=1)).to_have_text("There is no such page")
    page.keyboard.press("Control+z")
    expect(page.locator("#answer")).to_contain_text("Undone")
    page.goto("/person/gracie")
    expect(page.get_by_role("heading", level=1)).to_have_text(name)
