"""A web view of queues, workers and failures: `create_app(redis, Options(...))`.

It asks `headway.observe`, and acts through `Job` handles. It is a whole Flask
application, not a blueprint: its guards must not depend on what the application around
it does. Mount it beside your own with a dispatcher.
"""

from __future__ import annotations

from headway.dashboard.application import create_app
from headway.dashboard.options import Options, Role, User, Visitor, read_users
from headway.dashboard.panel import Fact, Panel
from headway.dashboard.serve import serve

__all__ = [
    "Fact",
    "Options",
    "Panel",
    "Role",
    "User",
    "Visitor",
    "create_app",
    "read_users",
    "serve",
]
