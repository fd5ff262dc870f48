"""What every request meets before it reaches a page.

1. Without sign-in, only this machine may ask, under its own names: a page on the
   web can point its host name at 127.0.0.1 (DNS rebinding), but not change `Host`.
2. What changes something must come from a page of ours. Browsers say so in
   Sec-Fetch-Site, older ones in Origin or Referer; who says nothing is refused.
3. Every answer forbids scripts but those with this request's nonce, being framed,
   and being kept.
"""

from __future__ import annotations

import secrets
from urllib.parse import urlsplit

from flask import Flask, Response, abort, g, request

from headway.dashboard.options import is_loopback

#: Answers to a load balancer: no sign-in, no name of ours in `Host`.
PROBES = frozenset({"health.healthz", "health.readyz"})
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
#: The one page of rq-dashboard that changes something when it is merely looked at.
CHANGING_PAGES = frozenset({"rq_dashboard.requeue_all"})
#: Present when somebody else's request is passed on to this machine.
FORWARDED = ("Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Real-IP")


def guard(app: Flask, *, loopback_only: bool) -> None:
    """Put the guards in front of every page of an application."""
    app.before_request(_make_nonce)
    if loopback_only:
        app.before_request(_refuse_strangers)
    app.before_request(_refuse_other_sites)
    app.after_request(_add_headers)
    app.context_processor(lambda: {"csp_nonce": g.csp_nonce})


def _refuse_strangers() -> None:
    if request.endpoint in PROBES:
        return
    host = urlsplit(f"//{request.host}").hostname or ""
    if not (is_loopback(host) and is_loopback(request.remote_addr or "")):
        abort(
            403,
            "This dashboard has no sign-in, so it answers only this machine's own "
            "browsers, at http://127.0.0.1 or http://localhost. To open it to others, "
            "set HEADWAY_DASHBOARD_USERS and HEADWAY_SECRET.",
        )
    if any(name in request.headers for name in FORWARDED):
        abort(
            403,
            "This dashboard has no sign-in, and the request came through a proxy. "
            "Set HEADWAY_DASHBOARD_USERS and HEADWAY_SECRET.",
        )


def _refuse_other_sites() -> None:
    changing = request.method not in SAFE_METHODS or request.endpoint in CHANGING_PAGES
    if changing and not _same_origin():
        abort(
            403,
            "Refused: the browser does not say that this request came from a page of "
            "the dashboard. Behind a proxy, pass the Host header on unchanged.",
        )


def _same_origin() -> bool:
    if site := request.headers.get("Sec-Fetch-Site"):
        return site == "same-origin"
    came_from = request.headers.get("Origin") or request.headers.get("Referer")
    try:
        return bool(came_from) and urlsplit(came_from or "").netloc == request.host
    except ValueError:
        return False


def _make_nonce() -> None:
    g.csp_nonce = secrets.token_urlsafe(16)


def _policy() -> str:
    script, style = f"'nonce-{g.csp_nonce}'", "'self'"
    if request.blueprint == "rq_dashboard":
        # Its Underscore templates are compiled in the browser, and it sets styles.
        script, style = f"{script} 'unsafe-eval'", "'self' 'unsafe-inline'"
    return (
        f"default-src 'none'; script-src {script}; style-src {style}; "
        "img-src 'self' data:; font-src 'self'; connect-src 'self'; "
        "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    )


def _add_headers(response: Response) -> Response:
    headers = response.headers
    headers["Content-Security-Policy"] = _policy()
    headers["X-Content-Type-Options"] = "nosniff"
    headers["X-Frame-Options"] = "DENY"
    headers["Referrer-Policy"] = "same-origin"
    headers["Cross-Origin-Opener-Policy"] = "same-origin"
    headers["Cross-Origin-Resource-Policy"] = "same-origin"
    if not (request.endpoint or "").endswith("static"):
        headers["Cache-Control"] = "no-store"
    return response
