"""S3, against moto's server: found by AWS's own settings, read within the limits, failures distinguished."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import botocore.session
import pytest
from moto.server import ThreadedMotoServer

from models.stores.errors import StoreUnavailable, UnavailableImage
from models.stores.parameters import StoreParameters
from models.stores.stores import Stores


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def s3(endpoint: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The variables that a person sets, and no others. Returns the endpoint."""
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(name, str(tmp_path / "none"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", endpoint)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "key-of-ann")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret-of-ann")
    client = botocore.session.get_session().create_client("s3", region_name="us-east-1")
    client.create_bucket(Bucket="scans")
    for key in ("box 7/õhtu #1?.jpg", "a%20b.jpg", "a.jpg"):
        client.put_object(Bucket="scans", Key=key, Body=key.encode())
    return endpoint


def stores(**rules: object) -> Stores:
    return Stores(StoreParameters(deadline_s=5, **rules))  # type: ignore[arg-type]


@pytest.mark.usefixtures("s3")
def test_an_object_is_read_by_its_key_as_it_is() -> None:
    for key in ("box 7/õhtu #1?.jpg", "a%20b.jpg", "a.jpg"):
        assert stores().fetch(f"s3://scans/{key}") == key.encode()
    assert stores().store_of("s3://scans/a.jpg") == "s3://scans"


@pytest.mark.usefixtures("s3")
def test_a_missing_object_is_missing_and_a_missing_bucket_is_an_outage() -> None:
    with pytest.raises(UnavailableImage, match=r"nothing is at s3://scans/none\.jpg \(404 NoSuchKey\)"):
        stores().fetch("s3://scans/none.jpg")
    with pytest.raises(StoreUnavailable, match="s3://other: there is no such bucket") as caught:
        stores().fetch("s3://other/a.jpg")
    assert caught.value.cause == "store"


@pytest.mark.usefixtures("s3")
def test_the_size_limit_holds() -> None:
    with pytest.raises(UnavailableImage, match="at most 3 are read"):
        stores(max_bytes=3).fetch("s3://scans/a.jpg")


@pytest.mark.parametrize("uri", ["s3://scans", "s3://scans/", "s3:///a.jpg", "s3://.scans/a.jpg", "s3://a@scans/a.jpg"])
@pytest.mark.usefixtures("s3")
def test_a_uri_that_names_no_object_is_unavailable(uri: str) -> None:
    with pytest.raises(UnavailableImage):
        stores().fetch(uri)


@pytest.mark.usefixtures("s3")
def test_without_credentials_it_waits_and_says_what_to_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    with pytest.raises(StoreUnavailable, match="there are no credentials for S3: set AWS_ACCESS_KEY_ID") as caught:
        stores().fetch("s3://scans/a.jpg")
    assert caught.value.cause == "store"


@pytest.mark.usefixtures("s3")
def test_a_public_bucket_is_read_without_credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    client = botocore.session.get_session().create_client("s3", region_name="us-east-1")
    client.create_bucket(Bucket="public", ACL="public-read")
    client.put_object(Bucket="public", Key="a.jpg", Body=b"public", ACL="public-read")
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    assert stores(s3_anonymous=True).fetch("s3://public/a.jpg") == b"public"


@pytest.mark.usefixtures("s3")
def test_an_endpoint_that_is_not_there_is_an_outage_and_no_signature_is_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", "http://127.0.0.1:9")
    with pytest.raises(StoreUnavailable) as caught:
        stores().fetch("s3://scans/a.jpg")
    assert str(caught.value) == "s3://scans: connection refused (http://127.0.0.1:9)"
    assert caught.value.cause == "store"
