"""Pages: templates filled in, with headers that let them load nothing but what is ours."""

from __future__ import annotations

from functools import cache
from typing import Any

from fastapi.responses import HTMLResponse
from jinja2 import Environment, PackageLoader, StrictUndefined

from serving.dashboard import words
from serving.dashboard.assets import asset_url

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
"""What a page may load: files of this server, and no script or style that stands in it."""

PAGES = (
    ("/", "Today"),
    ("/signals", "Signals"),
    ("/record", "Record"),
    ("/model", "Model"),
)


@cache
def environment() -> Environment:
    """Return the templates; whatever is put into them is escaped."""
    made = Environment(
        loader=PackageLoader("serving.dashboard"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters |= {
        "percent": words.percent,
        "signed": words.signed,
        "points": words.points,
        "number": words.number,
        "long_day": words.long_day,
        "short_day": words.short_day,
        "instant": words.instant,
        "days": words.days,
        "plural": words.plural,
    }
    made.globals |= {"pages": PAGES, "asset_url": asset_url}
    return made


def rendered(template: str, **values: Any) -> str:
    """Return a page's text."""
    return environment().get_template(template).render(**values)


def page(content: str, status: int = 200) -> HTMLResponse:
    """Return a page as an answer."""
    # With "no-referrer" browsers send "Origin: null" with our own forms; other sites learn nothing.
    headers = {"content-security-policy": POLICY, "referrer-policy": "same-origin"}
    if status == 503:
        headers["retry-after"] = "5"
    return HTMLResponse(content, status, headers=headers)
