"""rq-dashboard at /rq: its addresses, pages and scripts, with answers of ours.

Of rq-dashboard 0.9.0 we keep what people know: where things are and how they look.
Every function behind it is replaced, since each of these was measured in it: one
connection for all requests, switched by whoever looked last; results and metas
unpickled; pages of N times the rows; errors where a job is unusual; minutes in one
request. Its templates are taken as installed and made safe while they are loaded.
"""

from __future__ import annotations

import rq_dashboard
from flask import Flask
from jinja2 import ChoiceLoader
from redis import Redis

from headway.dashboard.act import Actions
from headway.dashboard.rq_templates import SafeTemplates
from headway.dashboard.rq_views import RQViews
from headway.errors import ConfigurationError

NAME = "rq_dashboard"
#: Files only: nothing of Redis is in them.
KEPT = frozenset({"static", "favicon"})


def mount_rq_dashboard(app: Flask, redis: Redis, actions: Actions) -> None:
    """Put rq-dashboard under /rq, with every one of its functions replaced.

    Raises:
        ConfigurationError: it has a page that is not replaced here.
    """
    before = set(app.view_functions)
    app.register_blueprint(rq_dashboard.blueprint, url_prefix="/rq")
    # It would open a connection of its own for each request.
    app.before_request_funcs.pop(NAME, None)
    views = RQViews(redis, actions).by_name()
    theirs = {name.partition(".")[2] for name in set(app.view_functions) - before}
    _refuse_others(theirs, set(views))
    for name, view in views.items():
        app.view_functions[f"{NAME}.{name}"] = view
    loaders = [SafeTemplates(rq_dashboard.blueprint), app.jinja_env.loader]
    app.jinja_env.loader = ChoiceLoader([loader for loader in loaders if loader])


def _refuse_others(theirs: set[str], ours: set[str]) -> None:
    if others := sorted(theirs ^ (ours | KEPT)):
        raise ConfigurationError(
            f"this rq-dashboard has other pages than 0.9.0 ({', '.join(others)}): "
            "install rq-dashboard==0.9.0"
        )
