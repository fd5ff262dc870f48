from __future__ import annotations

from collections.abc import Callable

from flask import Blueprint, redirect, render_template, request, url_for
from redis import Redis
from werkzeug.wrappers import Response

from headway import observe
from headway.dashboard.act import WAITING, Actions
from headway.dashboard.answer import said
from headway.dashboard.options import Options
from headway.dashboard.panel import Source, read_panels

FAILURES_SHOWN = 12
DONE = {
    "requeue": "Requeued: it runs again as soon as a worker is free.",
    "cancel": "Canceled: it will not run.",
    "stop": "Its worker was told to stop it.",
    "delete": "Deleted, with its result.",
}
WITH_WORKFLOW = "Canceled, and with it what of its workflow has not begun."
HELD = {
    "pause": "Paused {}: what runs goes on, and no Headway worker begins another job.",
    "resume": "Resumed {}.",
}


def pages(redis: Redis, options: Options, actions: Actions) -> Blueprint:
    """Make the pages of ours: the front page, and one for each job."""
    blueprint = Blueprint("headway", __name__)
    sources = [Source(ask) for ask in options.panels]

    @blueprint.get("/")
    def front() -> str:
        queues = observe.queues(redis, options.queues)
        names = [queue.name for queue in queues]
        workers = observe.workers(redis)
        return render_template(
            "headway/front.html",
            queues=queues,
            workers=workers,
            failures=observe.recent_failures(redis, names, FAILURES_SHOWN),
            panels=read_panels(sources),
            put_aside=observe.put_aside(redis),
            unsent=observe.unsent(redis),
            served={name for worker in workers for name in worker.queues},
        )

    @blueprint.get("/jobs/<job_id>")
    def job(job_id: str) -> str:
        found = observe.job(redis, job_id)
        return render_template("headway/job.html", job=found, waiting=WAITING)

    @blueprint.get("/jobs/")
    def find() -> Response:
        wanted = request.args.get("id", "").strip()
        if observe.is_workflow(redis, wanted):
            return redirect(url_for("workflows.one", workflow_id=wanted), 303)
        to = url_for("headway.job", job_id=wanted) if wanted else url_for(".front")
        return redirect(to, 303)

    _add_actions(blueprint, redis, actions)
    return blueprint


def _add_actions(blueprint: Blueprint, redis: Redis, actions: Actions) -> None:
    verbs: dict[str, Callable[[str], None]] = {
        "requeue": actions.requeue,
        "cancel": actions.cancel,
        "stop": actions.cancel,
        "delete": actions.delete,
    }

    @blueprint.post("/jobs/<job_id>/<any(requeue, cancel, stop, delete):verb>")
    def press(job_id: str, verb: str) -> Response:
        of_workflow = verb == "cancel" and observe.ends_workflow(redis, job_id)
        verbs[verb](job_id)
        deleted = verb == "delete"
        page = url_for(".front") if deleted else url_for(".job", job_id=job_id)
        return said(WITH_WORKFLOW if of_workflow else DONE[verb], then=page)

    holds: dict[str, Callable[[str], None]] = {
        "pause": actions.pause,
        "resume": actions.resume,
    }

    @blueprint.post("/queues/<queue>/<any(pause, resume):hold>")
    def hold_or_not(queue: str, hold: str) -> Response:
        holds[hold](queue)
        return said(HELD[hold].format(queue), then=url_for(".front"))

    @blueprint.post("/queues/<queue>/requeue")
    def requeue_failed(queue: str) -> Response:
        swept = actions.requeue_failed(queue, request.form.get("limit", type=int))
        rest = f"; {swept.left} to go, press again" if swept.left else ""
        jobs = "job" if swept.done == 1 else "jobs"
        words = f"Requeued {swept.done} failed {jobs} of {queue}{rest}."
        return said(words, then=url_for(".front"))
