"""What is locked in requirements/ has no known vulnerability, as far as osv.dev can be asked."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from deploy.known_vulnerabilities import LOCKED, ServiceAway, known_vulnerabilities

_VULNERABLE = ("jinja2", "2.4.1")


class _Osv(BaseHTTPRequestHandler):
    """Answers as osv.dev does (https://google.github.io/osv.dev/api/) and knows one vulnerability."""

    asked: list[tuple[str, str]]

    def do_POST(self) -> None:
        queries = json.loads(self.rfile.read(int(self.headers["content-length"])))["queries"]
        packages = [(query["package"]["name"], query["version"]) for query in queries]
        self.asked.extend(packages)
        known = {"vulns": [{"id": "PYSEC-1", "modified": "2024-01-01T00:00:00Z"}]}
        self._answer({"results": [known if package == _VULNERABLE else {} for package in packages]})

    def do_GET(self) -> None:
        name, version = _VULNERABLE
        affected = [{"package": {"ecosystem": "PyPI", "name": name}, "ranges": [], "versions": [version]}]
        self._answer(
            {"id": "PYSEC-1", "modified": "2024-01-01T00:00:00Z", "summary": "templates escape", "affected": affected}
        )

    def _answer(self, content: object) -> None:
        body = json.dumps(content).encode()
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


@contextmanager
def osv() -> Iterator[tuple[str, list[tuple[str, str]]]]:
    """A service like osv.dev: its address, and what it was asked."""
    asked: list[tuple[str, str]] = []
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Osv", (_Osv,), {"asked": asked}))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/", asked
    finally:
        server.shutdown()
        server.server_close()


def test_no_vulnerability_is_known_of_what_is_locked() -> None:
    try:
        found = known_vulnerabilities(LOCKED)
    except ServiceAway as away:
        pytest.skip(str(away))
    assert found == []


def test_every_locked_version_is_asked_for() -> None:
    with osv() as (address, asked):
        assert known_vulnerabilities(LOCKED, address) == []
    lines = [line for line in LOCKED.read_text().splitlines() if line and line[0] not in " #"]
    names = {re.split(r"[\[=]", line)[0] for line in lines}
    assert {name for name, _ in asked} == names
    # Of some there is a version for each Python.
    assert len(names) <= len(set(asked)) <= len(lines)


def test_a_known_vulnerability_is_a_line(tmp_path: Path) -> None:
    locked = tmp_path / "dev.txt"
    locked.write_text(
        "jinja2==2.4.1 \\\n    --hash=sha256:0\nurllib3==2.8.0 ; python_version >= '3.11' \\\n    --hash=sha256:0\n"
    )
    with osv() as (address, _):
        (line,) = known_vulnerabilities(locked, address)
    assert line.startswith("jinja2 2.4.1: PYSEC-1 templates escape")


def test_a_service_that_is_away_is_not_taken_for_a_good_answer(tmp_path: Path) -> None:
    locked = tmp_path / "dev.txt"
    locked.write_text("jinja2==2.4.1\n")
    with pytest.raises(ServiceAway, match=r"osv\.dev was not asked"):
        known_vulnerabilities(locked, "http://127.0.0.1:9/")
