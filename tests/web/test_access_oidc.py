"""Signing in at a real OpenID Connect provider, which runs beside the tests."""

from __future__ import annotations

import json
from base64 import b64decode, b64encode
from collections.abc import Iterator
from urllib.parse import parse_qs, urlsplit

import httpx2 as httpx
import oidc_provider_mock
import pytest
from starlette.testclient import TestClient

from settings import DeskSettings
from tests.builders.access import SECRET, application, free_port, served
from tests.builders.web import web_server
from web.access_oidc import local_path
from web.access_texts import TEXTS

FROM_THE_DESK = {"Sec-Fetch-Site": "same-origin"}


@pytest.fixture(scope="module")
def provider() -> Iterator[str]:
    with oidc_provider_mock.run_server_in_thread() as server:
        url = f"http://localhost:{server.server_port}"
        for user, claims in (
            ("1", {"preferred_username": "Õie", "groups": ["arhivaarid", "everyone", "x" * 5000]}),
            ("2", {"preferred_username": "Jaan", "groups": "everyone"}),
            ("3", {"groups": ["arhivaarid"]}),
        ):
            httpx.put(f"{url}/users/{user}", json=claims).raise_for_status()
        yield url


def settings_for(issuer: str, url: str, **fields: object) -> DeskSettings:
    common = {
        "url": url,
        "port": urlsplit(url).port or 8000,
        "oidc_issuer": issuer,
        "oidc_client_id": "desk",
        "oidc_client_secret": "secret of the desk",
        "session_secret": SECRET,
        "read": ["group:everyone"],
        "decide": ["group:arhivaarid"],
    }
    return DeskSettings.model_validate(common | fields)


@pytest.fixture(scope="module")
def desk(provider: str) -> Iterator[str]:
    here = f"http://127.0.0.1:{free_port()}"
    with served(settings_for(provider, here)):
        yield here


@pytest.fixture
def client(desk: str) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=desk) as opened:
        yield opened


def sign_in(client: httpx.Client, user: str, path: str = "/") -> httpx.Response:
    """Go to the provider, give one's name there, and come back. The last answer of the desk."""
    begun = client.get(path)
    assert begun.status_code == 303
    to_provider = client.get(begun.headers["location"])
    back = httpx.post(to_provider.headers["location"], data={"sub": user})
    return client.get(back.headers["location"])


def test_whoever_signs_in_comes_back_to_the_page_with_their_name_and_roles(client: httpx.Client) -> None:
    answer = sign_in(client, "1", "/kept?page=2&q=%C3%B5")
    assert (answer.status_code, answer.headers["location"]) == (303, "/kept?page=2&q=%C3%B5")
    assert client.get("/").json() == {"name": "Õie", "roles": ["decide", "read"], "sign_out": True}
    assert client.post("/decisions", headers=FROM_THE_DESK).status_code == 200
    assert client.post("/decisions", headers={"Origin": "https://evil.example"}).status_code == 403
    assert client.post("/operate/withdraw", headers=FROM_THE_DESK).status_code == 403


def test_roles_follow_the_groups_also_where_the_claim_is_one_text(client: httpx.Client) -> None:
    sign_in(client, "2")
    assert client.get("/").json()["roles"] == ["read"]
    assert client.post("/decisions", headers=FROM_THE_DESK).status_code == 403


def test_the_way_to_the_provider_has_a_state_a_nonce_and_a_challenge(client: httpx.Client) -> None:
    query = parse_qs(urlsplit(client.get("/sign-in").headers["location"]).query)
    assert query["code_challenge_method"] == ["S256"] and query["state"] and query["nonce"] and query["code_challenge"]
    assert query["redirect_uri"] == [f"{str(client.base_url).rstrip('/')}/sign-in/callback"]


def test_only_a_page_leads_to_signing_in(client: httpx.Client) -> None:
    for headers in ({"HX-Request": "true"}, {"Sec-Fetch-Mode": "cors", "Sec-Fetch-Site": "same-origin"}):
        answer = client.get("/", headers=headers)
        assert (answer.status_code, answer.text) == (401, TEXTS["sign-in"] + "\n")
    assert client.post("/decisions", headers=FROM_THE_DESK).status_code == 401


def test_the_cookie_is_the_desks_alone_and_holds_only_what_the_settings_name(client: httpx.Client) -> None:
    cookie = sign_in(client, "1").headers["set-cookie"]
    assert "httponly" in cookie.lower() and "samesite=lax" in cookie.lower() and "domain" not in cookie.lower()
    assert json.loads(b64decode(client.cookies["facestream"].split(".")[0] + "==")) == {
        "user": {"name": "Õie", "groups": ["arhivaarid", "everyone"]}
    }


def test_over_https_the_cookie_is_secure_and_of_this_host(provider: str) -> None:
    app = application(settings_for(provider, "https://desk.museum.ee"))
    answer = TestClient(app, base_url="https://desk.museum.ee", follow_redirects=False).get("/sign-in")
    cookie = answer.headers["set-cookie"]
    assert cookie.startswith("__Host-facestream=") and "; secure" in cookie and "path=/;" in cookie


def test_a_changed_cookie_is_nobody(client: httpx.Client) -> None:
    sign_in(client, "2")
    payload, _, signature = client.cookies["facestream"].partition(".")
    forged = b64encode(json.dumps({"user": {"name": "Ott", "groups": ["arhivaarid"]}}).encode()).decode()
    for cookie in (f"{forged}.{signature}", payload, "x", f"{payload}.{signature}x"):
        answer = httpx.get(client.base_url, headers={"Cookie": f"facestream={cookie}", "Sec-Fetch-Mode": "cors"})
        assert answer.status_code == 401


def test_signing_out_ends_it(client: httpx.Client) -> None:
    sign_in(client, "1")
    assert client.get("/sign-out").status_code == 405
    assert client.post("/sign-out").status_code == 403
    out = client.post("/sign-out", headers=FROM_THE_DESK)
    assert out.status_code == 303
    assert client.get(out.headers["location"]).text == TEXTS["signed-out"] + "\n"
    assert client.get("/").status_code == 303


def test_whoever_has_no_role_may_sign_out(provider: str) -> None:
    here = f"http://127.0.0.1:{free_port()}"
    with served(settings_for(provider, here, read=[])), httpx.Client(base_url=here) as client:
        sign_in(client, "2")
        assert client.get("/").status_code == 403
        assert client.post("/sign-out", headers=FROM_THE_DESK).status_code == 303


def test_a_user_without_a_name_that_can_be_an_author_is_not_let_in(client: httpx.Client) -> None:
    answer = sign_in(client, "3")
    assert (answer.status_code, answer.text) == (403, TEXTS["no-name"] + "\n")
    assert client.get("/").status_code == 303


def test_who_signs_in_may_be_named_by_another_claim(provider: str) -> None:
    here = f"http://127.0.0.1:{free_port()}"
    with (
        served(settings_for(provider, here, oidc_name_claim="sub", read=["2"])),
        httpx.Client(base_url=here) as client,
    ):
        sign_in(client, "2")
        assert client.get("/").json()["name"] == "2"


@pytest.mark.parametrize("query", ["", "?code=x&state=y", "?state=y", "?error=access_denied&error_description=Mari"])
def test_a_callback_that_nobody_began_lets_nobody_in(
    client: httpx.Client, query: str, capfd: pytest.CaptureFixture[str]
) -> None:
    answer = client.get("/sign-in/callback" + query)
    assert (answer.status_code, answer.text) == (401, TEXTS["sign-in-failed"] + "\n")
    assert "Mari" not in "".join(capfd.readouterr())


def test_what_somebody_else_began_cannot_be_ended(client: httpx.Client, desk: str) -> None:
    with httpx.Client(base_url=desk) as other:
        begun = other.get("/sign-in")
        back = httpx.post(begun.headers["location"], data={"sub": "1"})
        assert client.get(back.headers["location"]).status_code == 401


def test_a_header_that_names_a_user_means_nothing_here(client: httpx.Client) -> None:
    assert client.get("/", headers={"X-Remote-User": "Ott", "Sec-Fetch-Mode": "cors"}).status_code == 401


def test_a_provider_that_is_away_is_reported() -> None:
    here = f"http://127.0.0.1:{free_port()}"
    with served(settings_for(f"http://localhost:{free_port()}", here)):
        answer = httpx.get(f"{here}/sign-in")
    assert (answer.status_code, answer.text) == (503, TEXTS["provider-away"] + "\n")


@pytest.mark.parametrize("metadata", [b'{"issuer": "https://evil.example"}', b"{}", b"[]", b"no JSON"])
def test_a_provider_that_is_another_or_makes_no_sense_is_not_used(metadata: bytes) -> None:
    here = f"http://127.0.0.1:{free_port()}"
    with web_server() as web:
        web.pages["/.well-known/openid-configuration"] = metadata
        with served(settings_for(web.uri(""), here)):
            assert httpx.get(f"{here}/sign-in").status_code == 401
            # Once it is right, it is used.
            web.pages["/.well-known/openid-configuration"] = json.dumps(
                {"issuer": web.uri(""), "authorization_endpoint": web.uri("/authorize")}
            ).encode()
            assert httpx.get(f"{here}/sign-in").headers["location"].startswith(web.uri("/authorize?"))


@pytest.mark.parametrize(
    "path",
    ["https://evil.example", "//evil.example", "/\\evil.example", "/\t/evil.example", "evil", None, "/sign-in"],
)
def test_signing_in_leads_to_no_other_site(path: str | None) -> None:
    assert local_path(path) == "/"


def test_signing_in_leads_to_a_page_of_the_desk() -> None:
    assert local_path("/face/1?x=2") == "/face/1?x=2"
