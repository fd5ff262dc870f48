"""What is sent by itself: a page for all schedules, one for each, and their buttons."""

from __future__ import annotations

from collections.abc import Callable

from flask import Blueprint, render_template, request, url_for
from redis import Redis
from werkzeug.wrappers import Response

from headway import observe
from headway.dashboard.answer import said
from headway.schedules import Schedules

#: How many schedules one page has.
ROWS = 200
#: How many ticks the page of a schedule tells.
TICKS = 100
DONE = {
    "pause": "Paused {}: nothing of it is sent until it is resumed.",
    "resume": "Resumed {}: it is sent again from now on.",
    "run": "Sent {} once more.",
    "remove": "Removed {}; jobs that it has sent stay.",
}


def schedule_pages(redis: Redis, schedules: Schedules | None) -> Blueprint:
    """Make the pages of schedules; without them, one that says how to have them."""
    blueprint = Blueprint("schedules", __name__)

    @blueprint.get("/schedules")
    def every() -> str:
        after = request.args.get("after", "")
        names = [] if schedules is None else schedules.names()
        rest = [name for name in names if name > after]
        return render_template(
            "headway/schedules.html",
            are_known=schedules is not None,
            schedules=[] if schedules is None else schedules.all(rest[:ROWS]),
            total=len(names),
            after=after,
            has_more=len(rest) > ROWS,
            unsent=observe.unsent(redis),
        )

    if schedules is not None:
        _add_pages_of_one(blueprint, redis, schedules)
    return blueprint


def _add_pages_of_one(blueprint: Blueprint, redis: Redis, schedules: Schedules) -> None:
    @blueprint.get("/schedules/<name>")
    def one(name: str) -> str:
        info = schedules.get(name)
        return render_template(
            "headway/schedule.html",
            schedule=info,
            coming=[] if info.problem else schedules.upcoming(name),
            ticks=schedules.history(name, TICKS),
            unsent=observe.unsent(redis),
        )

    verbs: dict[str, Callable[[str], object]] = {
        "pause": schedules.pause,
        "resume": schedules.resume,
        "run": schedules.run_now,
        "remove": schedules.remove,
    }

    @blueprint.post("/schedules/<name>/<any(pause, resume, run, remove):verb>")
    def press(name: str, verb: str) -> Response:
        verbs[verb](name)
        removed = verb == "remove"
        page = url_for(".every") if removed else url_for(".one", name=name)
        return said(DONE[verb].format(name), then=page)
