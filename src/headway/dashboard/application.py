from __future__ import annotations

import secrets
import zlib
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import quote

from flask import Flask, url_for
from redis import Redis
from werkzeug.routing import UnicodeConverter

from headway.dashboard.act import actions, workflows
from headway.dashboard.guard import guard
from headway.dashboard.health import health
from headway.dashboard.options import Options
from headway.dashboard.pages import pages
from headway.dashboard.problems import explain_problems
from headway.dashboard.rq_mount import mount_rq_dashboard
from headway.dashboard.schedules import schedule_pages
from headway.dashboard.sign_in import require_sign_in
from headway.dashboard.wording import add_words
from headway.dashboard.workflows import workflow_pages
from headway.errors import ConfigurationError
from headway.wire.client import connect

#: More than any form of ours needs.
LARGEST_FORM = 64 * 1024


def create_app(redis: Redis | str | None, options: Options) -> Flask:
    """Make the dashboard, a WSGI application of its own, for a client or an address.

    Raises:
        ConfigurationError: no Redis is named; anybody, or nobody, could get in; the
            client decodes what it reads, so that compressed fields are lost; or the
            installed rq-dashboard is not the one whose faults are repaired here.
    """
    options.check()
    redis = _client(redis)
    app = Flask("headway.dashboard", root_path=str(Path(__file__).parent))
    app.url_map.converters["default"] = _OnePart
    _configure(app, options)
    add_words(app)
    guard(app, loopback_only=not options.users and options.visitor is None)
    require_sign_in(app, options)
    explain_problems(app)
    acting = actions(redis, options.job)
    app.register_blueprint(health(redis))
    app.register_blueprint(pages(redis, options, acting))
    app.register_blueprint(schedule_pages(redis, options.schedules))
    app.register_blueprint(workflow_pages(workflows(redis)))
    mount_rq_dashboard(app, redis, acting)
    return app


def _client(redis: Redis | str | None) -> Redis:
    if not redis:
        raise ConfigurationError(
            "the dashboard has no Redis to look at: set REDIS_URL=redis://host:6379/0"
        )
    client = connect(redis) if isinstance(redis, str) else redis
    if client.get_encoder().decode_responses:
        raise ConfigurationError(
            "the dashboard reads compressed bytes: give it a Redis client without "
            "decode_responses=True"
        )
    return client


def _configure(app: Flask, options: Options) -> None:
    app.config.update(
        # Without sign-in nothing of worth is in the cookie: any key will do.
        SECRET_KEY=options.secret or secrets.token_urlsafe(32),
        SESSION_COOKIE_NAME="headway",
        SESSION_COOKIE_HTTPONLY=True,
        SESSION_COOKIE_SAMESITE="Lax",
        PERMANENT_SESSION_LIFETIME=options.session,
        MAX_CONTENT_LENGTH=LARGEST_FORM,
        MAX_FORM_MEMORY_SIZE=LARGEST_FORM,
        SEND_FILE_MAX_AGE_DEFAULT=31_536_000,
    )
    app.jinja_env.trim_blocks = True
    app.jinja_env.lstrip_blocks = True
    parameters = options.parameters or _unknown
    title, refresh = options.title, int(options.refresh.total_seconds() * 1000)
    app.context_processor(
        lambda: {
            "title": title,
            "refresh": refresh,
            "asset": _Assets(app),
            "parameters": parameters,
            "blueprints": app.blueprints,
        }
    )


def _unknown(task: str) -> Sequence[str]:  # noqa: ARG001 - whichever it is
    return ()


class _OnePart(UnicodeConverter):
    """A name within an address; one such as `../queues/default` leads nowhere else."""

    def to_url(self, value: object) -> str:
        return quote(str(value), safe="!$&'()*+,:;=@")


class _Assets:
    """Addresses of our files, which change with their content and so may be kept."""

    def __init__(self, app: Flask) -> None:
        self._folder = Path(app.static_folder or "")

    def __call__(self, name: str) -> str:
        version = zlib.crc32((self._folder / name).read_bytes())
        return url_for("static", filename=name, v=f"{version:08x}")
