"""Pages and parts of pages as HTML: the templates, and what all of them have at hand.

Each page is one template in `templates/parts`: alone where htmx asks for it, else within `templates/base.html`.
"""

from __future__ import annotations

import hashlib
import json
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import quote

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape
from starlette.requests import Request
from starlette.responses import HTMLResponse

from web.access_checks import PUBLIC
from web.crops_routes import crop_url, scan_url
from web.desk import desk_of, user_of
from web.strings import Words, figure, language_of, words

STATIC = Path(__file__).with_name("static")
"""The folder of the style sheet, the scripts and htmx."""


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("web"),
        autoescape=select_autoescape(default=True, default_for_string=True),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "path": _path,
        "minute": minute,
        "second": second,
        "percent": percent,
        "figure": figure,
        "rate": rate,
        "person_name": lambda label_id, name: name(label_id),
    }
    environment.globals |= {
        "static": _static,
        "integrity": _integrity,
        "json": json.dumps,
        "crop_url": crop_url,
        "scan_url": scan_url,
    }
    return environment


def page(request: Request, part: str, title: str, status: int = 200, **context: Any) -> HTMLResponse:  # noqa: ANN401
    """A page: the template `parts/{part}.html` with this context, alone if htmx asks for it."""
    if "hx-request" in request.headers:
        template = f"parts/{part}.html"
    else:
        template = "public.html" if request.url.path.startswith(f"{PUBLIC}/") else "base.html"
    return _answer(request, template, status, part=part, title=title, **context)


def public_page(request: Request, part: str, title: str, **context: Any) -> HTMLResponse:  # noqa: ANN401
    """A page of the public view: the template `parts/{part}.html` in a frame without the desk's scripts."""
    return _answer(request, "public.html", 200, part=part, title=title, **context)


def fragment(request: Request, part: str, status: int = 200, **context: Any) -> HTMLResponse:  # noqa: ANN401
    """A part of a page, alone."""
    return _answer(request, f"parts/{part}.html", status, **context)


def texts(request: Request) -> Words:
    """The texts in the language of whoever is asking."""
    return words(language_of(request.cookies.get("language"), request.headers.get("accept-language", "")))


def _answer(request: Request, template: str, status: int, **context: Any) -> HTMLResponse:  # noqa: ANN401
    chosen = texts(request)
    at_hand = {
        "t": chosen.text,
        "n": chosen.count,
        "language": chosen.language,
        "name": desk_of(request).name,
        "user": user_of(request),
        "sign_out": getattr(request.state, "sign_out", False),
        "request": request,
        "here": request.url.path + (f"?{request.url.query}" if request.url.query else ""),
    }
    html = _environment().get_template(template).render(at_hand | context)
    return HTMLResponse(
        html, status, headers={"Vary": "HX-Request, Accept-Language, Cookie", "Cache-Control": "no-store"}
    )


def _path(identifier: str) -> str:
    """An id as a part of a path. Slashes stay, since ids of scans are made of paths."""
    return quote(identifier, safe="/")


def minute(time: datetime) -> str:
    """A time for people, in the local time zone."""
    return f"{time.astimezone():%Y-%m-%d %H:%M}"


def second(time: datetime) -> str:
    """A time for people to the second, in the local time zone."""
    return f"{time.astimezone():%Y-%m-%d %H:%M:%S}"


def rate(per_s: float | None) -> str:
    """So many a second, for people; a dash where it is not known."""
    if per_s is None:
        return "-"
    return figure(round(per_s)) if abs(per_s) >= 10 or per_s == 0 else f"{per_s:.1f}"


def percent(probability: float) -> str:
    """A probability for people: never 100 % unless it is that."""
    return "100 %" if probability >= 1 else f"{min(99, round(probability * 100))} %"


@cache
def _static(name: str) -> str:
    """The address of a static file, which changes with its content."""
    digest = hashlib.sha256((STATIC / name).read_bytes()).hexdigest()
    return f"/static/{name}?{digest[:12]}"


@cache
def _integrity(name: str) -> str:
    """What a browser checks a script against (Subresource Integrity)."""
    import base64

    return "sha384-" + base64.b64encode(hashlib.sha384((STATIC / name).read_bytes()).digest()).decode()
