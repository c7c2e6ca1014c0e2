"""Who may reach the desk: this machine alone, or whoever a proxy names; and what other sites cannot do with it."""

from __future__ import annotations

import io
import json
import socket

import httpx2 as httpx
import pytest
import structlog
from pydantic import ValidationError

from errors import UserError
from settings import DeskSettings
from tests.builders.access import HERE, SECRET, browser, free_port, served
from web.access import Access
from web.access_texts import TEXTS
from web.access_users import Roles, usable_name

LOCAL = DeskSettings()
OUTSIDE = "https://desk.museum.ee"
PROXY = DeskSettings.model_validate(
    {
        "url": OUTSIDE,
        "host": "0.0.0.0",
        "proxy_header": "X-Remote-User",
        "proxy_peers": ["10.0.0.5", "fd00::/8"],
        "read": ["*"],
        "decide": ["Õie", "group:archivists"],
        "operate": ["Ott"],
    }
)
FROM_THE_DESK = {"Sec-Fetch-Site": "same-origin"}


def user(name: bytes) -> dict[bytes, bytes]:
    """What a proxy adds."""
    return {b"X-Remote-User": name}


# This machine alone


def test_without_signing_in_everyone_on_this_machine_is_the_local_user_with_all_roles() -> None:
    answer = browser(LOCAL).get("/")
    assert answer.json() == {"name": "mari", "roles": ["decide", "operate", "read"], "sign_out": False}


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.5", "desk.museum.ee"])
def test_an_address_that_others_reach_is_not_served_without_a_way_of_signing_in(host: str) -> None:
    with pytest.raises(UserError, match=f"not served at {host}, where others could reach it: set a way of signing in"):
        Access(DeskSettings(host=host), "mari")


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.53", "::1", "localhost"])
def test_loopback_is_served(host: str) -> None:
    assert Access(DeskSettings(host=host), "mari").uvicorn["host"] == host


def test_a_connection_from_elsewhere_is_nobody() -> None:
    assert browser(LOCAL, peer="192.168.1.7").get("/").status_code == 401


@pytest.mark.parametrize("header", ["X-Forwarded-For", "Forwarded", "Via", "X-Real-IP"])
def test_what_a_proxy_passes_on_is_not_the_local_user(header: str) -> None:
    answer = browser(LOCAL).get("/", headers={header: "203.0.113.9"})
    assert answer.status_code == 401
    assert "reached through a proxy" in answer.text


def test_a_header_that_names_a_user_means_nothing_where_no_proxy_is_set() -> None:
    assert browser(LOCAL).get("/", headers={"X-Remote-User": "Ott"}).json()["name"] == "mari"


# Names of hosts


@pytest.mark.parametrize("host", ["evil.example", "evil.example:8000", "localhost.evil.example", ""])
def test_a_site_whose_name_leads_to_this_machine_gets_nothing(host: str) -> None:
    answer = browser(LOCAL).get("/", headers={"Host": host})
    assert answer.status_code == 400
    assert "mari" not in answer.text


@pytest.mark.parametrize("host", ["127.0.0.1:8000", "localhost:8000", "[::1]:8000", "localhost:9999"])
def test_this_machine_is_called_by_its_names_also_through_a_tunnel(host: str) -> None:
    client = browser(LOCAL)
    assert client.get("/", headers={"Host": host}).status_code == 200
    assert client.post("/decisions", headers={"Host": host, "Origin": f"http://{host}"}).status_code == 200


def test_behind_a_proxy_the_only_host_is_that_of_the_url() -> None:
    client = browser(PROXY, OUTSIDE, "10.0.0.5")
    ott = {"X-Remote-User": "Ott"}
    assert client.get("/", headers=ott).status_code == 200
    assert client.get("/", headers={"Host": "desk.museum.ee:443"} | ott).status_code == 200
    for host in ("127.0.0.1:8000", "desk.museum.ee:8000", "desk.museum.ee@evil.example", "localhost"):
        assert client.get("/", headers={"Host": host} | ott).status_code == 400


def test_two_hosts_are_none() -> None:
    with served(DeskSettings(port=(port := free_port()))), socket.create_connection(("127.0.0.1", port)) as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n")
        assert b" 400 " in connection.recv(100)


# Writes from other sites


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://127.0.0.1:3000"},
        {"Origin": "https://127.0.0.1:8000"},
        {"Origin": "http://127.0.0.1:8000.evil.example"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Sec-Fetch-Site": "none"},
        {"Sec-Fetch-Site": "same-origin", "Origin": "https://evil.example"},
        {"Sec-Fetch-Site": "cross-site", "Origin": HERE},
    ],
)
@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE"])
def test_a_write_that_does_not_come_from_the_desk_is_refused(method: str, headers: dict[str, str]) -> None:
    assert browser(LOCAL).request(method, "/decisions", headers=headers).status_code == 403


@pytest.mark.parametrize("headers", [FROM_THE_DESK, {"Origin": HERE}, FROM_THE_DESK | {"Origin": HERE}])
def test_a_write_from_the_desk_is_done(headers: dict[str, str]) -> None:
    assert browser(LOCAL).post("/decisions", headers=headers).text == "done"


def test_other_sites_may_link_to_a_page_and_embed_nothing() -> None:
    client = browser(LOCAL)
    link = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}
    assert client.get("/", headers=link).status_code == 200
    assert client.get("/", headers=link | {"Sec-Fetch-Dest": "iframe"}).status_code == 403
    image = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors", "Sec-Fetch-Dest": "image"}
    assert client.get("/kept", headers=image).status_code == 403
    assert client.options("/decisions", headers={"Origin": "https://evil.example"}).status_code == 403


# Headers


@pytest.mark.parametrize("path", ["/", "/static/desk.js", "/nowhere", "/people/Mari"])
def test_every_answer_has_a_browser_keep_out_what_is_not_the_desks(path: str) -> None:
    headers = browser(LOCAL).get(path).headers
    policy = headers["content-security-policy"]
    assert "default-src 'none'" in policy and "frame-ancestors 'none'" in policy and "unsafe" not in policy
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "same-origin"
    assert headers["cross-origin-resource-policy"] == "same-origin"
    assert headers["cache-control"] == "no-store"


def test_a_refusal_has_these_headers_too() -> None:
    assert "frame-ancestors" in browser(LOCAL).get("/", headers={"Host": "evil"}).headers["content-security-policy"]


def test_what_may_be_kept_says_so_itself() -> None:
    assert browser(LOCAL).get("/kept").headers["cache-control"] == "private, max-age=600"


# A proxy


def test_a_listed_proxy_names_the_user() -> None:
    for peer in ("10.0.0.5", "::ffff:10.0.0.5", "fd00::7"):
        answer = browser(PROXY, OUTSIDE, peer).get("/", headers=user("Õie".encode()))
        assert answer.json() == {"name": "Õie", "roles": ["decide", "read"], "sign_out": False}


@pytest.mark.parametrize("peer", ["10.0.0.6", "127.0.0.1", "203.0.113.9", "testclient"])
def test_a_forged_header_from_elsewhere_is_refused(peer: str) -> None:
    client = browser(PROXY, OUTSIDE, peer)
    for headers in ({"X-Remote-User": "Ott"}, {"X-Remote-User": "Ott", "X-Forwarded-For": "10.0.0.5"}, {}):
        assert client.get("/", headers=headers).status_code == 401
        assert client.post("/decisions", headers=headers | FROM_THE_DESK).status_code == 401


def test_a_served_desk_does_not_believe_whom_a_request_was_forwarded_for() -> None:
    port = free_port()
    here = f"http://127.0.0.1:{port}"
    settings = PROXY.model_copy(update={"host": "127.0.0.1", "port": port, "url": here})
    forged = {"X-Remote-User": "Ott", "X-Forwarded-For": "10.0.0.5", "X-Forwarded-Proto": "https"}
    with served(settings):
        assert httpx.get(here, headers=forged).status_code == 401
    by_loopback = DeskSettings.model_validate(
        {"port": port, "url": here, "proxy_header": "X-Remote-User", "proxy_peers": ["127.0.0.1"], "read": ["*"]}
    )
    with served(by_loopback):
        assert httpx.get(here, headers=forged).json()["name"] == "Ott"
        assert httpx.get(here).status_code == 401


def test_two_headers_name_nobody_since_one_of_them_may_be_the_browsers() -> None:
    client = browser(PROXY, OUTSIDE, "10.0.0.5")
    assert client.get("/", headers=[("X-Remote-User", "Ott"), ("x-remote-user", "Jaan")]).status_code == 401


@pytest.mark.parametrize("name", [b"", b" ", b"tab\there", "\u200b".encode(), b"x" * 201])
def test_what_is_no_name_is_nobody(name: bytes) -> None:
    client = browser(PROXY, OUTSIDE, "10.0.0.5")
    assert client.get("/", headers=user(name)).status_code == 401


# Roles


@pytest.mark.parametrize(
    ("name", "statuses"),
    [("Jaan", (200, 403, 403, 403)), ("Õie", (200, 200, 403, 403)), ("Ott", (200, 200, 200, 200))],
)
def test_reading_deciding_and_operating_need_their_roles(name: str, statuses: tuple[int, ...]) -> None:
    client = browser(PROXY, OUTSIDE, "10.0.0.5")
    headers = user(name.encode()) | {b"Sec-Fetch-Site": b"same-origin"}
    requests = (("GET", "/"), ("POST", "/decisions"), ("GET", "/operate/withdraw"), ("POST", "/operate/withdraw"))
    assert tuple(client.request(*one, headers=headers).status_code for one in requests) == statuses


def test_whoever_has_no_role_sees_nothing() -> None:
    settings = PROXY.model_copy(update={"read": ()})
    answer = browser(settings, OUTSIDE, "10.0.0.5").get("/", headers={"X-Remote-User": "Jaan"})
    assert (answer.status_code, answer.text) == (403, TEXTS["no-role"] + "\n")


def test_roles_are_given_to_names_and_groups_in_any_form_of_unicode_and_not_mixed_up() -> None:
    roles = Roles(DeskSettings(read=("group:readers",), decide=("O\u0303ie", "group:arhivaarid"), operate=("*x",)))
    assert roles.of("Õie") == {"read", "decide"}
    assert roles.of("Mari", ["arhivaarid", "others"]) == {"read", "decide"}
    assert roles.of("Mari", ["readers"]) == {"read"}
    assert roles.of("Mari", ["Õie"]) == roles.of("group:arhivaarid") == roles.of("arhivaarid") == frozenset()
    assert roles.of_interest(["others", "readers", "arhivaarid"]) == ["arhivaarid", "readers"]


def test_a_name_is_one_line_in_one_form() -> None:
    assert usable_name(" O\u0303ie ") == "Õie"
    assert [usable_name(it) for it in ("", "a\nb", "a\u202eb", 7, None)] == [None] * 5


# What is open


def test_static_files_are_for_anyone_and_public_pages_only_where_they_are_on() -> None:
    client = browser(PROXY, OUTSIDE, "203.0.113.9")
    assert client.get("/static/desk.js").status_code == 200
    assert client.get("/public/people").status_code == 404
    open_settings = PROXY.model_copy(update={"public_collections": ("portraits",)})
    client = browser(open_settings, OUTSIDE, "203.0.113.9")
    assert client.get("/public/people").status_code == 200
    assert client.post("/public/people", headers=FROM_THE_DESK).status_code == 404
    assert client.post("/static/desk.js", headers=FROM_THE_DESK).status_code == 401
    assert client.get("/publicity").status_code == 401


# The log


def test_the_log_has_no_names_no_ids_and_no_queries(capfd: pytest.CaptureFixture[str]) -> None:
    lines = io.StringIO()
    structlog.configure(
        processors=[structlog.processors.JSONRenderer()], logger_factory=structlog.PrintLoggerFactory(lines)
    )
    with served(DeskSettings(port=(port := free_port()))):
        answer = httpx.get(f"http://127.0.0.1:{port}/people/Mari%20Mets?name=Mets")
    assert (answer.status_code, answer.text) == (500, TEXTS["failed"] + "\n")
    written = lines.getvalue() + "".join(capfd.readouterr())
    assert "Mets" not in written and "mari" not in written and "Traceback" not in written
    failed, request = map(json.loads, lines.getvalue().splitlines())
    assert failed["error"] == "ValueError" and failed["place"].startswith("tests/builders/access.py:")
    assert request["route"] == "/people/{name}" and request["status"] == 500


# Settings


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        ({"url": OUTSIDE}, "url and a way of signing in"),
        ({"proxy_header": "X-User", "url": OUTSIDE}, "proxy_header and proxy_peers need each other"),
        ({"proxy_header": "X-User", "proxy_peers": ["10.0.0.5"]}, "url and a way of signing in"),
        ({"url": "http://desk.museum.ee"}, "is not encrypted"),
        ({"url": "https://museum.ee/desk"}, "has a path"),
        ({"url": "desk.museum.ee"}, "is no address"),
        ({"oidc_issuer": "https://id.ee", "url": OUTSIDE}, "needs oidc_client_id"),
        ({"session_secret": "hush"}, "less than 32 characters"),
        ({"oidc_issuer": "https://id.ee", "proxy_header": "X-User"}, "two ways of signing in"),
        ({"proxy_header": "X-User:", "proxy_peers": ["10.0.0.5"]}, "proxy_header"),
    ],
)
def test_settings_that_do_not_fit_together_are_refused(fields: dict[str, object], problem: str) -> None:
    with pytest.raises(ValidationError, match=problem) as refused:
        DeskSettings.model_validate(fields)
    assert "hush" not in str(refused.value.errors(include_url=False)[0]["msg"])


def test_secrets_are_not_shown() -> None:
    assert SECRET not in repr(DeskSettings.model_validate({"session_secret": SECRET}))
