"""Uris as they may be shown."""

from __future__ import annotations

import pytest

from schemas.uris import has_credentials, text_without_credentials, without_credentials


@pytest.mark.parametrize(
    ("uri", "shown"),
    [
        ("https://ann:pw@host:8080/a.jpg", "https://host:8080/a.jpg"),
        ("https://token@host/a.jpg", "https://host/a.jpg"),
        ("https://a:b@c@host/a.jpg", "https://host/a.jpg"),
        (
            "https://b.s3.amazonaws.com/k?X-Amz-Algorithm=AWS4&X-Amz-Credential=AK&X-Amz-Signature=0f&X-Amz-Expires=9",
            "https://b.s3.amazonaws.com/k?X-Amz-Algorithm=AWS4&X-Amz-Credential=…&X-Amz-Signature=…&X-Amz-Expires=9",
        ),
        ("https://h/k?X-Amz-Security-Token=abc", "https://h/k?X-Amz-Security-Token=…"),
        ("https://h/k?AWSAccessKeyId=a&Signature=b", "https://h/k?AWSAccessKeyId=…&Signature=…"),
        ("https://h/k?sv=2024&sig=abc&se=1", "https://h/k?sv=2024&sig=…&se=1"),
        ("https://h/k?X-Goog-Signature=abc&api_key=1&access_token=2", "https://h/k?X-Goog-Signature=…&api_key=…&access_token=…"),
        ("https://h/k#access_token=abc", "https://h/k#access_token=…"),
        ("https://h/k?%73ig=abc", "https://h/k?%73ig=…"),
        ("simplecache::https://ann:pw@host/a.jpg", "simplecache::https://host/a.jpg"),
        ("https://iiif/2/https://ann:pw@host/a.jpg/full", "https://iiif/2/https://host/a.jpg/full"),
        ("https://ann:p/w@host/a.jpg", "https://…"),
        ("https://[::1/a.jpg?sig=abc", "https://…"),
    ],
)  # fmt: skip
def test_what_is_secret_is_cut(uri: str, shown: str) -> None:
    assert without_credentials(uri) == shown
    assert has_credentials(uri)
    assert without_credentials(shown) == shown or shown.endswith("://…")
    assert text_without_credentials(f"cannot read '{uri}': refused") == f"cannot read '{shown}': refused"


@pytest.mark.parametrize(
    "uri",
    [
        "file:///scans/õhtu%20%23.jpg",
        "https://host/iiif/2/box%2F7/full/max/0/default.jpg",
        "https://host/image?id=7&page=2&key=photo",
        "s3://scans/box 7/a.jpg",
        "file:///scans//ann@home/a.jpg",
    ],
)
def test_what_is_not_stays(uri: str) -> None:
    assert without_credentials(uri) == uri
    assert not has_credentials(uri)
