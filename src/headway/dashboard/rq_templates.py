"""rq-dashboard's templates as installed, made safe while they are loaded.

It prints data with Underscore's `<%= %>`, which does not escape, into innerHTML; and
it puts the queue's name, as it stands in the address, into a script. Both let
whoever can name a queue or an argument run scripts in an operator's browser.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

from flask.sansio.blueprints import Blueprint
from jinja2 import BaseLoader, Environment, TemplateNotFound

from headway.errors import ConfigurationError

#: In every template. Its own way of escaping would now do so twice.
EVERYWHERE = (
    (re.compile(r"<%=\s*\$\('<div/>'\)\.text\((.*?)\)\.html\(\)\s*%>"), r"<%- \1 %>"),
    (re.compile(r"<%="), "<%-"),
    (re.compile(r"<script\b"), '<script nonce="{{ csp_nonce }}"'),
)
#: What our own pages have at their top.
_SCHEDULES = """\
                    <li class="nav-item">
                        <a href="{{ schedules }}" class="nav-link">Schedules</a>
                    </li>
"""
_FIND = """\
                <form id="navbar-find" action="{{ find }}" role="search">
                    <input type="search" name="id" class="form-control form-control-sm"
                        placeholder="Find a job by id" aria-label="Job id">
                </form>
"""
_IF_MAY_ACT = "{% if enable_delete %}"
_REQUEUE = '<button id="requeue-job-btn"'
#: In one template each: what stands there, and what shall.
REPAIRS: dict[str, tuple[tuple[str, str], ...]] = {
    "base.html": (
        ("url_for('static', filename='favicon.ico')", "asset('favicon.svg')"),
        ("</head>", '<link href="{{ asset("rq.css") }}" rel="stylesheet"></head>'),
        (
            "</body>",
            '<script src="{{ asset("rq.js") }}"></script></body>',
        ),
    ),
    "navbar.html": (
        (
            '<a class="navbar-brand">RQ-dashboard</a>',
            '<a class="navbar-brand" href="{{ front }}">&larr; {{ title }}</a>',
        ),
        ("                </ul>\n", f"{_SCHEDULES}                </ul>\n{_FIND}"),
        ("[{{ instance_list.index(instance) }}] {{ instance }}", "{{ instance }}"),
    ),
    "job.html": (
        ("JSON.stringify(d.result, null, 2)", "d.result"),
        (_REQUEUE, f"{_IF_MAY_ACT}{_REQUEUE}"),
        (">Requeue</button>", ">Requeue</button>{% endif %}"),
    ),
    "jobs.html": (
        (
            "This list below contains all the queued jobs on queue",
            "Jobs {{ registry_name }} on queue",
        ),
        (
            "<option {% if registry_name == 'started' %}",
            "{{ ready_option }}<option {% if registry_name == 'started' %}",
        ),
        (
            "{% if registry_name == 'queued' %}\n",
            "{% if registry_name == 'queued' and enable_delete %}\n",
        ),
        (
            "{% if registry_name == 'failed' %}\n",
            "{% if registry_name == 'failed' and enable_delete %}\n",
        ),
        (
            '<a href="#" data-role="requeue-job-btn"',
            _IF_MAY_ACT + '<a href="#" data-role="requeue-job-btn"',
        ),
        (">Requeue</a>", ">Requeue</a>{% endif %}"),
    ),
    "scripts/jobs.js": (
        ("'{{ queue.name }}'", "{{ queue.name|tojson }}"),
        *[
            (f"modalConfirm('{verb}'", f"modalConfirm({{{{ ({said})|tojson }}}}")
            for verb, said in (
                ("empty", "'delete all ' ~ registry_name ~ ' jobs of ' ~ queue.name"),
                ("compact", "'compact ' ~ queue.name"),
                ("requeue all", "'requeue all failed jobs of ' ~ queue.name"),
            )
        ],
    ),
}


class SafeTemplates(BaseLoader):
    """Loads rq-dashboard's templates, escaped and repaired."""

    def __init__(self, blueprint: Blueprint) -> None:
        self._folder = Path(blueprint.root_path) / "templates"

    def get_source(
        self,
        environment: Environment,  # noqa: ARG002 - Jinja hands it to every loader
        template: str,
    ) -> tuple[str, str, Callable[[], bool]]:
        """Return a template's text.

        Raises:
            TemplateNotFound: it is none of rq-dashboard's.
            ConfigurationError: it is not the version whose faults are known.
        """
        name = template.removeprefix("rq_dashboard/")
        path = self._folder / "rq_dashboard" / name
        if name == template or ".." in name or not path.is_file():
            raise TemplateNotFound(template)
        return repaired(name, path.read_text()), str(path), lambda: True


def repaired(name: str, source: str) -> str:
    """Return a template's text without its faults.

    Raises:
        ConfigurationError: it lacks what is to be repaired.
    """
    for old, new in REPAIRS.get(name, ()):
        if old not in source:
            raise ConfigurationError(
                f"rq-dashboard's {name} is not that of 0.9.0: install "
                "rq-dashboard==0.9.0, whose faults are repaired here"
            )
        source = source.replace(old, new)
    for pattern, replacement in EVERYWHERE:
        source = pattern.sub(replacement, source)
    return source
