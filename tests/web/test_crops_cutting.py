"""A store that is away costs the scans of other stores nothing."""

from __future__ import annotations

import hashlib

import pytest
from PIL import Image

from models.stores.errors import Cause, StoreUnavailable
from tests.builders.photographs import made_photographs
from tests.builders.pictures import encoded
from web import crops_cutting
from web.crops_cutting import Cut, NoPicture, Source, cut

CONTENT = encoded(Image.fromarray(made_photographs()["group"]), "JPEG")
CHECKSUM = hashlib.sha256(CONTENT).hexdigest()


class SomeStores:
    """Two stores, of which the one called away delivers nothing until it is back."""

    def __init__(self, cause: Cause, seconds: float) -> None:
        self.cause: Cause = cause
        self.seconds = seconds
        self.is_back = False
        self.now = 100.0
        self.fetched: list[str] = []

    def store_of(self, uri: str) -> str:
        return uri.split("/")[2]

    def fetch(self, uri: str) -> bytes:
        self.fetched.append(uri)
        if "away" in uri and not self.is_back:
            self.now += self.seconds
            raise StoreUnavailable(self.store_of(uri), "it does not answer", self.cause)
        return CONTENT


def has_picture(number: int, store: str = "away") -> bool:
    made = cut(Source(f"http://{store}/{number}.jpg", CHECKSUM, None), {"x": Cut(400)})
    assert not isinstance(made, NoPicture) or made.trouble == "unreachable"
    return not isinstance(made, NoPicture)


@pytest.fixture
def stores(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> SomeStores:
    stores = SomeStores(*request.param)
    monkeypatch.setattr(crops_cutting, "_stores", stores)
    monkeypatch.setattr(crops_cutting, "_away", {})
    monkeypatch.setattr(crops_cutting, "_last", None)
    monkeypatch.setattr(crops_cutting, "monotonic", lambda: stores.now)
    return stores


@pytest.mark.parametrize("stores", [("store", 0.1), ("unclear", 60.0)], indirect=True)
def test_a_store_that_is_away_is_tried_less_and_less_and_others_at_once(stores: SomeStores) -> None:
    assert not any(has_picture(number) for number in range(50))
    assert len(stores.fetched) == 1
    assert has_picture(0, "here")
    for wait, attempts in ((19, 1), (2, 2), (39, 2), (2, 3)):
        stores.now += wait
        assert not has_picture(0)
        assert len([uri for uri in stores.fetched if "away" in uri]) == attempts
    stores.is_back = True
    assert not has_picture(0)
    stores.now += 400
    assert has_picture(0) and has_picture(1)


@pytest.mark.parametrize("stores", [("scan", 0.1)], indirect=True)
def test_one_scan_that_breaks_off_at_once_is_not_the_store(stores: SomeStores) -> None:
    assert not has_picture(0)
    stores.is_back = True
    assert has_picture(1)
