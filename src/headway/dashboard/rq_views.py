from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from functools import partial
from math import ceil
from typing import Any

from flask import abort, jsonify, render_template, request, url_for
from markupsafe import Markup
from redis import Redis
from rq.version import VERSION
from rq_dashboard.version import VERSION as DASHBOARD_VERSION
from rq_dashboard.web import pagination_window
from werkzeug.wrappers import Response

from headway import observe
from headway.dashboard import sweep
from headway.dashboard.act import Actions
from headway.dashboard.sign_in import may_act
from headway.dashboard.sweep import Swept
from headway.observe import JobLine, QueueInfo, WorkerInfo
from headway.wire.outage import address

ORDERS = ("asc", "dsc")
#: What its page offers at most, and more than anybody reads.
LARGEST_PAGE = 200
LINKED = (
    "queued",
    "failed",
    "started",
    "deferred",
    "finished",
    "canceled",
    "scheduled",
)
#: The registry that its page does not offer.
READY = (
    Markup("<option>ready</option>"),
    Markup("<option selected>ready</option>"),
)
GONE = "(this job's data has expired)"


class RQViews:
    """The functions behind rq-dashboard's addresses."""

    def __init__(self, redis: Redis, actions: Actions) -> None:
        self._redis = redis
        self._actions = actions

    def by_name(self) -> dict[str, Callable[..., Any]]:
        """Return each function under the name that rq-dashboard has for it."""
        return {
            "queues_overview": self.queues_overview,
            "workers_overview": self.workers_overview,
            "jobs_overview": self.jobs_overview,
            "job_view": self.job_view,
            "list_queues": self.list_queues,
            "list_workers": self.list_workers,
            "list_jobs": self.list_jobs,
            "job_info": self.job_info,
            "delete_job_view": self.delete_job,
            "requeue_job_view": self.requeue_job,
            "requeue_all": self.requeue_all,
            "empty_queue": self.empty_queue,
            "compact_queue": self.compact_queue,
        }

    # Pages

    def queues_overview(self, instance_number: int) -> str:
        """Show the page of queues."""
        return self._page("queues", instance_number, active_tab="queues")

    def workers_overview(self, instance_number: int) -> str:
        """Show the page of workers."""
        return self._page("workers", instance_number, active_tab="workers")

    def jobs_overview(
        self,
        *,
        instance_number: int,
        queue_name: str | None,
        registry_name: str,
        per_page: str | int,
        order: str,
        page: str | int,
    ) -> str:
        """Show the page of one list of jobs."""
        names = sorted(observe.queue_names(self._redis))
        _known(registry_name, order)
        return self._page(
            "jobs",
            instance_number,
            active_tab="jobs",
            queues=[{"name": name} for name in names],
            queue={"name": queue_name or "default"},
            registry_name=registry_name,
            ready_option=READY[registry_name == "ready"],
            per_page=_per_page(per_page),
            order=order,
            page=max(int(page), 1),
        )

    def job_view(self, instance_number: int, job_id: str) -> str:
        """Show the page of one job."""
        observe.job(self._redis, job_id)
        return self._page("job", instance_number, id=job_id)

    def _page(self, name: str, instance_number: int, **values: object) -> str:
        _only_one(instance_number)
        self._redis.ping()  # the page itself holds nothing of Redis: it would be empty
        return render_template(
            f"rq_dashboard/{name}.html",
            current_instance=0,
            instance_list=[address(self._redis)],
            rq_url_prefix=url_for("rq_dashboard.queues_overview"),
            rq_dashboard_version=DASHBOARD_VERSION,
            rq_version=VERSION,
            enable_delete=may_act(),
            front=url_for("headway.front"),
            find=url_for("headway.find"),
            schedules=url_for("schedules.every"),
            **values,
        )

    # What the pages ask for every few seconds

    def list_queues(self, instance_number: int) -> Response:
        """Answer with all queues."""
        _only_one(instance_number)
        queues = sorted(observe.queues(self._redis), key=lambda queue: queue.name)
        return jsonify(queues=[_queue(queue) for queue in queues])

    def list_workers(self, instance_number: int) -> Response:
        """Answer with all workers."""
        _only_one(instance_number)
        return jsonify(
            workers=[_worker(found) for found in observe.workers(self._redis)]
        )

    def list_jobs(
        self,
        *,
        instance_number: int,
        queue_name: str,
        registry_name: str,
        per_page: str,
        order: str,
        page: str,
    ) -> Response:
        """Answer with exactly one page of jobs."""
        _only_one(instance_number)
        _known(registry_name, order)
        if not page.isdecimal() or not per_page.isdecimal():
            abort(404, "A page has a number.")
        length, current = _per_page(per_page), max(int(page[:12]), 1)
        page_of, total = self._list(queue_name, registry_name)
        ids = page_of(
            offset=(current - 1) * length, length=length, newest_first=order == "dsc"
        )
        to = _Pages(queue_name, registry_name, length, order)
        return jsonify(
            name=queue_name,
            registry_name=registry_name,
            jobs=[_job(line) for line in observe.lines(self._redis, ids)],
            pagination=to.around(current, total),
        )

    def _list(self, queue: str, registry: str) -> tuple[Callable[..., list[str]], int]:
        """Return what finds a page of a list, and how long the list is."""
        redis = self._redis
        if registry == "queued":  # what another engine carries waits as well
            page_of = partial(observe.waiting_ids, redis, queue)
            return page_of, observe.waiting(redis, queue)
        page_of = partial(observe.job_ids, redis, queue, registry)
        return page_of, observe.size(redis, queue, registry)

    def job_info(self, instance_number: int, job_id: str) -> Response:
        """Answer with one job; what cannot be read hides only itself."""
        _only_one(instance_number)
        job = observe.job(self._redis, job_id)
        line = job.line
        answer = _job(line) | {
            "enqueued_at": _iso(line.enqueued_at),
            "origin": line.queue,
            "status": line.status,
            "result": job.result.text or job.result.unread or "null",
            "metadata": job.meta.text or job.meta.unread or "{}",
        }
        if job.dependencies:
            answer["depends_on"] = list(job.dependencies)
            there = job.dependencies.values()
            answer["depends_on_status"] = ["active" if d else "expired" for d in there]
        return jsonify(answer)

    # Buttons

    def delete_job(self, job_id: str) -> Response:
        """Delete one job."""
        self._actions.delete(job_id)
        return jsonify(status="OK")

    def requeue_job(self, job_id: str) -> Response:
        """Run one failed job again."""
        self._actions.requeue(job_id)
        return jsonify(status="OK")

    def requeue_all(self, queue_name: str) -> Response:
        """Run the failed jobs of a queue again; never by a mere look at an address."""
        if request.method != "POST":
            abort(405, "Requeueing is a POST.")
        return _swept(self._actions.requeue_failed(queue_name, _limit()))

    def empty_queue(self, queue_name: str, registry_name: str) -> Response:
        """Delete the jobs of one list."""
        _known(registry_name, "asc")
        return _swept(sweep.empty(self._redis, queue_name, registry_name, _limit()))

    def compact_queue(self, queue_name: str) -> Response:
        """Take ids without a job off a queue."""
        return _swept(sweep.compact(self._redis, queue_name))


class _Pages:
    """Addresses of the pages of one list."""

    def __init__(self, queue: str, registry: str, per_page: int, order: str) -> None:
        self._values: dict[str, Any] = {
            "queue_name": queue,
            "registry_name": registry,
            "per_page": per_page,
            "order": order,
        }
        self._per_page = per_page

    def around(self, current: int, total: int) -> dict[str, object]:
        """Return the links round one page, in rq-dashboard's words."""
        last = ceil(total / self._per_page)
        window = pagination_window(total, current, self._per_page)
        links: dict[str, object] = {
            "current_page": current,
            "num_pages": last,
            "pages_in_window": [self._link(page, number=page) for page in window],
            "first_page": self._link(1),
            "last_page": self._link(max(last, 1)),
        }
        if current > 1:
            links["prev_page"] = self._link(current - 1)
        if current < last:
            links["next_page"] = self._link(current + 1)
        return links

    def _link(self, page: int, **more: int) -> dict[str, object]:
        to = "rq_dashboard.jobs_overview"
        return {
            "url": url_for(to, instance_number=0, page=page, **self._values),
            **more,
        }


def _only_one(instance_number: int) -> None:
    if instance_number != 0:
        abort(404, "This dashboard looks at one Redis only, number 0.")


def _known(registry: str, order: str) -> None:
    if registry not in observe.REGISTRIES or order not in ORDERS:
        abort(404, f"No list of jobs is called {registry!r} in order {order!r}.")


def _per_page(written: str | int) -> int:
    return min(max(int(str(written)[:9]), 1), LARGEST_PAGE)


def _limit() -> int | None:
    limit = request.form.get("limit", type=int)
    return limit if limit is None else max(limit, 0)


def _swept(swept: Swept) -> Response:
    return jsonify(status="OK", count=swept.done, done=swept.done, left=swept.left)


def _iso(at: datetime | None) -> str | None:
    return at.isoformat() if at else None


def _queue(queue: QueueInfo) -> dict[str, object]:
    answer: dict[str, object] = {"name": queue.name, "count": queue.waiting}
    for registry in LINKED:
        answer[f"{registry}_job_registry_count"] = queue.counts[registry]
        answer[f"{registry}_url"] = url_for(
            "rq_dashboard.jobs_overview",
            instance_number=0,
            queue_name=queue.name,
            registry_name=registry,
            per_page=8,
            order="asc",
            page=1,
        )
    return answer


def _worker(worker: WorkerInfo) -> dict[str, object]:
    running = worker.jobs[0] if worker.jobs else None
    return {
        "name": worker.name,
        "pid": worker.pid,
        "queues": worker.queues,
        "state": worker.state,
        "current_job": "idle" if running is None else _running(running),
        "last_heartbeat": _iso(worker.heartbeat),
        "birth_date": _iso(worker.born),
        "successful_job_count": worker.succeeded,
        "failed_job_count": worker.failed,
        "total_working_time": worker.worked.total_seconds(),
        "version": worker.version,
        "python_version": worker.python,
    }


def _running(line: JobLine) -> dict[str, object]:
    return {
        "job_id": line.id,
        "description": line.description,
        "created_at": _iso(line.created_at),
        "call_string": line.description or line.id,
    }


def _job(line: JobLine) -> dict[str, object]:
    return {
        "id": line.id,
        "created_at": _iso(line.created_at),
        "started_at": _iso(line.started_at),
        "ended_at": _iso(line.ended_at),
        "exc_info": line.error or None,
        "description": line.description if line.exists else GONE,
    }
