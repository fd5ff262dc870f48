from __future__ import annotations

import json
import pickle
import re
import threading
import zlib
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from redis import Redis
from redis.backoff import NoBackoff
from redis.retry import Retry
from rq import Queue, Repeat
from rq.job import Dependency, Job

from headway.dashboard import Fact, Options, Panel, Visitor, create_app
from headway.errors import ConfigurationError
from tests.worker.running import until

OPEN = Options(open_on_loopback=True)


def nowhere() -> Redis:
    """A client of a server that is not there, and that it asks once."""
    return Redis(port=1, password="hidden", retry=Retry(NoBackoff(), 0))


def words(answer) -> str:
    """What a person reads of a page."""
    return " ".join(re.sub(r"<[^>]+>", " ", answer.text).split())


def test_the_front_page_counts_what_waits_runs_and_failed(client, queue, work):
    queue.enqueue("dashboard_tasks.fail", "the disk is full", job_id="full")
    work()
    queue.enqueue("dashboard_tasks.echo", 1)
    queue.enqueue("dashboard_tasks.echo", 2)
    queue.enqueue_in(timedelta(hours=1), "dashboard_tasks.echo", 3)
    page = words(client.get("/"))
    assert "Waiting 2 no worker is running" in page
    assert "Scheduled 1" in page
    assert "Failed 1 kept until you decide" in page
    assert "ValueError: the disk is full" in page


def test_queues_stand_in_the_order_of_urgency(redis, queue):
    queue.enqueue("dashboard_tasks.echo")
    options = Options(open_on_loopback=True, queues=("urgent", "default"))
    page = create_app(redis, options).test_client().get("/")
    assert page.text.index(">urgent<") < page.text.index(">default<")


def test_the_oldest_waiting_job_tells_how_long_a_queue_waits(client, queue, redis):
    job = queue.enqueue("dashboard_tasks.echo")
    then = datetime.now(UTC) - timedelta(minutes=7)
    redis.hset(job.key, "enqueued_at", f"{then:%Y-%m-%dT%H:%M:%S.%fZ}")
    assert ">7 min</time>" in client.get("/").text


def test_a_worker_is_shown_with_its_job_and_heartbeat(client, queue, redis, worker):
    queue.enqueue("dashboard_tasks.hold")
    with worker("-n", "the-worker", "default"):
        assert redis.blpop(["test:holding"], 30)
        page = words(client.get("/"))
        redis.lpush("test:release", "1")
    assert "the-worker" in page
    assert "busy hold for" in page
    assert "1 of 1 worker busy" in page


def test_the_job_page_tells_all_of_a_finished_job(client, queue, work):
    queue.enqueue(
        "dashboard_tasks.echo",
        {"pages": 3},
        colour="blue",
        job_id="j",
        meta={"by": "x"},
    )
    work()
    page = words(client.get("/jobs/j"))
    for part in ("echo", "finished", "colour", "blue", "pages", "Attempt 1", "took"):
        assert part in page
    assert "by" in page


def test_the_job_page_shows_progress_and_its_note(client, queue, work):
    queue.enqueue("dashboard_tasks.report", "page 3 of 4", job_id="j")
    work()
    page = client.get("/jobs/j")
    assert '<progress value="75" max="100">' in page.text
    assert "3 of 4 · page 3 of 4" in words(page)


def test_the_job_page_names_what_a_job_waits_for(client, queue):
    first = queue.enqueue("dashboard_tasks.echo", job_id="first")
    queue.enqueue("dashboard_tasks.echo", depends_on=Dependency([first]), job_id="j")
    page = client.get("/jobs/j")
    assert 'href="/jobs/first"' in page.text
    assert "deferred" in page.text


def test_requeue_runs_a_failed_job_again(client, queue, work, tmp_path):
    wanted = tmp_path / "wanted"
    queue.enqueue("dashboard_tasks.fail_until", str(wanted), job_id="j")
    work()
    wanted.touch()
    answer = client.post("/jobs/j/requeue")
    assert answer.status_code == 303
    work()
    page = words(client.get("/jobs/j"))
    assert "finished" in page
    assert "ran again" in page


def test_buttons_act_by_the_applications_own_handle_where_it_has_one(redis):
    pressed = []

    class Handle:
        def __init__(self, job_id):
            self.id = job_id

        def requeue(self):
            pressed.append(("requeue", self.id))

        status = "finished"

        def cancel(self):
            return False

        def delete(self):
            pressed.append(("delete", self.id))

    app = create_app(redis, Options(open_on_loopback=True, job=Handle))
    client = app.test_client()
    client.environ_base["HTTP_SEC_FETCH_SITE"] = "same-origin"
    client.post("/jobs/j/requeue")
    client.post("/jobs/j/delete")
    assert pressed == [("requeue", "j"), ("delete", "j")]
    answer = client.post("/jobs/j/cancel")
    assert answer.status_code == 409
    assert "Job j is finished: it has ended" in answer.text


def test_a_job_that_waits_for_its_next_attempt_has_not_begun_it(client, queue, redis):
    queue.enqueue("dashboard_tasks.echo", job_id="j")
    # As RQ leaves it: the time of the first start stays.
    began = "2026-11-22T12:00:00.000000Z"
    waiting = {"status": "scheduled", "started_at": began, "number_of_retries": 1}
    redis.hset("rq:job:j", mapping=waiting)
    assert "<dt>Attempt</dt><dd>1</dd>" in client.get("/jobs/j").text
    redis.hset("rq:job:j", "status", "started")
    assert "<dt>Attempt</dt><dd>2</dd>" in client.get("/jobs/j").text


def test_a_job_that_repeats_says_how_often_and_when_it_comes(client, queue, work):
    hourly = Repeat(times=3, interval=3600)
    queue.enqueue("dashboard_tasks.echo", 1, job_id="j", repeat=hourly)
    assert "Repeats 3 to come after this run" in words(client.get("/jobs/j"))
    work()
    page = words(client.get("/jobs/j"))
    assert "Repeats 2 to come after the next run" in page
    assert "Due in 5" in page


def test_a_job_that_was_stopped_says_why_it_ended(client, queue, redis, worker):
    job = queue.enqueue("dashboard_tasks.hold", job_id="j")
    with worker():
        assert redis.blpop(["test:holding"], 30)
        client.post("/jobs/j/stop")
        until(lambda: job.get_status().value == "stopped", "stopped")
        until(lambda: "Why it ended" in client.get("/jobs/j").text, "its reason")
    assert "What went wrong before" not in client.get("/jobs/j").text


def test_a_reason_that_announces_more_goes_on_with_its_end(client, queue, redis):
    queue.enqueue("dashboard_tasks.echo", job_id="j")
    error = "headway.errors.JobCrashedError: no worker is given it again:\n"
    told = [f"2026-11-26, worker w-{number}: it was killed" for number in (1, 2)]
    last = "the worker that ran it ended 2 times"
    ended = {
        "status": "failed",
        "exc_info": "\n".join([error + told[0], told[1], last]),
    }
    redis.hset("rq:job:j", mapping=ended | {"headway_story": "\n".join(told)})
    page = client.get("/jobs/j").text
    assert f"again: {last}</p>" in page
    assert "<summary>Traceback" in page
    assert '<details data-key="traceback"><summary>' in page  # the list has its lines


def test_delete_forgets_a_job_and_its_result(client, queue, redis, work):
    queue.enqueue("dashboard_tasks.fail", "no", job_id="j")
    work()
    client.post("/jobs/j/delete")
    assert client.get("/jobs/j").status_code == 404
    assert not redis.keys("*:j*")
    assert queue.failed_job_registry.get_job_count(cleanup=False) == 0


def test_cancel_keeps_a_waiting_job_from_running(client, queue):
    job = queue.enqueue("dashboard_tasks.echo", job_id="j")
    client.post("/jobs/j/cancel")
    assert job.get_status().value == "canceled"
    assert queue.count == 0


def test_stop_ends_a_running_job(client, queue, redis, worker):
    job = queue.enqueue("dashboard_tasks.hold", job_id="j")
    with worker() as process:
        assert redis.blpop(["test:holding"], 30)
        assert 'action="/jobs/j/stop"' in client.get("/jobs/j").text
        answer = client.post("/jobs/j/stop", headers={"Accept": "application/json"})
        assert answer.json["message"] == "Its worker was told to stop it."
        until(lambda: job.get_status().value == "stopped", "stopped")
        assert process.poll() is None
    assert 'action="/jobs/j/stop"' not in client.get("/jobs/j").text


def test_a_finished_job_is_not_requeued_and_a_running_one_not_deleted(
    client, queue, work, redis
):
    queue.enqueue("dashboard_tasks.echo", job_id="j")
    work()
    answer = client.post("/jobs/j/requeue")
    assert answer.status_code == 409
    assert "only a failed, stopped or canceled job can be requeued" in words(answer)
    redis.hset(Job.key_for("j"), "status", "started")
    redis.zadd("rq:executions:j", {"an-execution": 9_999_999_999})
    assert client.post("/jobs/j/delete").status_code == 409


def test_all_failed_jobs_of_a_queue_are_requeued_at_once(client, queue, work):
    for number in range(5):
        queue.enqueue("dashboard_tasks.fail", str(number))
    work()
    assert "Requeue all failed of default" in client.get("/").text
    answer = client.post("/queues/default/requeue", headers={"X-Requested-With": "x"})
    assert answer.json["message"] == "Requeued 5 failed jobs of default."
    assert queue.count == 5


def test_a_queue_is_paused_and_resumed_by_its_button(client, queue, redis):
    queue.enqueue("dashboard_tasks.echo")
    front = client.get("/").text
    assert 'action="/queues/default/pause"' in front
    assert ">paused<" not in front
    assert client.post("/queues/default/pause").status_code == 303
    assert redis.smembers("headway:paused") == {b"default"}
    front = client.get("/").text
    assert ">paused<" in front
    assert 'action="/queues/default/resume"' in front
    answer = client.post("/queues/default/resume", headers={"X-Requested-With": "x"})
    assert answer.json["message"] == "Resumed default."
    assert not redis.exists("headway:paused")
    assert redis.llen("headway:wake:default") == 1


def test_who_may_only_look_cannot_pause(redis, queue):
    queue.enqueue("dashboard_tasks.echo")
    options = Options(visitor=lambda _request: Visitor(name="bob"))
    client = create_app(redis, options).test_client()
    client.environ_base["HTTP_SEC_FETCH_SITE"] = "same-origin"
    assert "/queues/default/pause" not in client.get("/").text
    assert client.post("/queues/default/pause").status_code == 403
    assert not redis.exists("headway:paused")


@pytest.mark.parametrize(
    "path", ["/jobs/j/requeue", "/jobs/j/delete", "/queues/default/pause"]
)
def test_a_button_says_in_one_sentence_that_redis_is_away(path):
    with nowhere() as redis:
        client = create_app(redis, OPEN).test_client()
        answer = client.post(path, headers={"Sec-Fetch-Site": "same-origin"})
    assert answer.status_code == 503
    assert "Redis cannot be reached" in answer.text
    assert "localhost:1" not in answer.text


def test_no_button_of_a_job_presses_something_else(client, redis, queue, work):
    queue.enqueue("dashboard_tasks.fail", "x", job_id="failed")
    work()
    name = "../queues/default"
    redis.rename("rq:job:failed", f"rq:job:{name}")
    redis.zrem("rq:failed:default", "failed")
    redis.zadd("rq:failed:default", {name: 9_999_999_999})
    page = client.get("/").text
    assert "/jobs/..%2Fqueues%2Fdefault/requeue" in page
    assert "/jobs/../" not in page


def test_a_failed_entry_without_a_job_disappears_when_pressed(client, redis):
    redis.sadd("rq:queues", "rq:queue:default")
    redis.zadd("rq:failed:default", {"gone": 9_999_999_999})
    assert client.post("/jobs/gone/requeue").status_code == 404
    assert redis.zcard("rq:failed:default") == 0


def test_an_unknown_job_is_not_found_in_one_sentence(client):
    answer = client.get("/jobs/nobody")
    assert answer.status_code == 404
    assert "No job &#39;nobody&#39;" in answer.text


def test_the_search_field_leads_to_a_job(client):
    answer = client.get("/jobs/?id=%20abc/../def%20")
    assert answer.status_code == 303
    assert answer.location.startswith("/jobs/abc")


@pytest.mark.parametrize(
    "path",
    ["/", "/jobs/j", "/rq/", "/rq/0/view/workers", "/rq/0/data/queues.json"],
)
def test_pages_say_in_one_sentence_that_redis_is_away(path):
    with nowhere() as redis:
        answer = create_app(redis, OPEN).test_client().get(path)
    assert answer.status_code == 503
    assert "Redis cannot be reached" in answer.text
    assert answer.headers["Retry-After"] == "3"
    assert "Traceback" not in answer.text


def test_healthz_needs_no_redis_and_readyz_does(client):
    assert client.get("/healthz").json == {"status": "ok"}
    assert client.get("/readyz").json == {"status": "ready"}
    with nowhere() as redis:
        away = create_app(redis, OPEN).test_client()
        assert away.get("/healthz").status_code == 200
        answer = away.get("/readyz")
    assert answer.status_code == 503
    assert answer.json["reason"].startswith("Redis cannot be reached")
    assert "hidden" not in answer.text


def test_the_application_tells_of_itself_in_a_panel(redis):
    def last_ingest() -> Panel:
        facts = (Fact(name="Documents", value="61"),)
        return Panel(title="Last ingest", facts=facts, note="in 21 s")

    def nothing_yet() -> None:
        return None

    options = Options(open_on_loopback=True, panels=(last_ingest, nothing_yet))
    page = words(create_app(redis, options).test_client().get("/"))
    assert "Last ingest Documents 61 in 21 s" in page


def test_a_panel_that_fails_says_so_and_spares_the_page(redis):
    def last_ingest() -> Panel:
        raise OSError("postgres://user:password@host is down")

    options = Options(open_on_loopback=True, panels=(last_ingest,))
    answer = create_app(redis, options).test_client().get("/")
    assert "Last ingest cannot be read now (OSError); see the log" in words(answer)
    assert "password" not in answer.text
    assert "Queues" in answer.text


class Bomb:
    """Touches a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return (open, (str(self.path), "w"))


def test_nothing_is_ever_unpickled(client, redis, tmp_path):
    touched = tmp_path / "touched"
    bomb = pickle.dumps(Bomb(touched))
    for status, registry in (("failed", "rq:failed:default"), ("queued", None)):
        fields = {
            "data": zlib.compress(bomb),
            "meta": bomb,
            "result": bomb,
            "status": status,
            "origin": "default",
            "created_at": "2026-11-22T10:00:00.000000Z",
        }
        redis.hset(f"rq:job:{status}", mapping=fields)
        if registry:
            redis.zadd(registry, {status: 9_999_999_999})
        else:
            redis.rpush("rq:queue:default", status)
    redis.sadd("rq:queues", "rq:queue:default")
    for path in (
        "/",
        "/jobs/failed",
        "/rq/0/view/job/failed",
        "/rq/0/data/job/failed.json",
        "/rq/0/data/jobs/default/failed/8/asc/1.json",
        "/rq/0/data/jobs/default/queued/8/asc/1.json",
        "/rq/0/data/workers.json",
    ):
        assert client.get(path).status_code == 200, path
    assert "pickles stay closed" in client.get("/jobs/failed").text
    client.post("/jobs/failed/requeue")
    client.post("/jobs/queued/cancel")
    client.post("/jobs/queued/requeue")
    client.post("/rq/requeue/default")
    client.post("/rq/queue/default/compact")
    client.post("/rq/job/failed/delete")
    client.post("/rq/queue/default/queued/empty")
    assert not touched.exists()
    pickle.loads(bomb).close()  # the bomb is live
    assert touched.exists()


NONSENSE = {
    "created_at": "yesterday",
    "status": "\x00\ud800".encode("utf-8", "surrogatepass"),
    "data": b"[" * 100_000,
    "meta": json.dumps({"headway": {"progress": {"done": "a", "total": []}}}),
    "number_of_retries": "many",
    "timeout": "ever",
    "dependency_ids": '{"a": 1}',
    "origin": b"\xff\xfe",
}


def test_a_record_of_nonsense_is_shown_and_can_be_deleted(client, redis):
    redis.hset("rq:job:j", mapping=NONSENSE)
    redis.xadd("rq:results:j", {"type": "9", "return_value": "%%%", "exc_string": "%"})
    redis.sadd("rq:queues", b"rq:queue:\xff\xfe", "rq:queue:default")
    redis.zadd("rq:failed:default", {"j": 1})
    redis.set("rq:failed:other", "not a sorted set")
    redis.sadd("rq:queues", "rq:queue:other")
    redis.sadd("rq:workers", "rq:worker:ghost", b"rq:worker:\xff")
    redis.hset("rq:worker:ghost", "last_heartbeat", "never")
    for path in (
        "/",
        "/jobs/j",
        "/rq/0/data/job/j.json",
        "/rq/0/data/queues.json",
        "/rq/0/data/workers.json",
        "/rq/0/data/jobs/default/failed/8/dsc/1.json",
        "/rq/0/data/jobs/other/failed/8/dsc/1.json",
    ):
        assert client.get(path).status_code == 200, path
    assert client.post("/jobs/j/requeue").status_code == 409
    assert client.post("/jobs/j/delete").status_code == 303
    assert not redis.exists("rq:job:j")


@pytest.mark.parametrize("field", ["timeout", "created_at", "retries_left", "status"])
def test_a_job_that_rq_cannot_read_can_be_deleted(client, redis, queue, field):
    queue.enqueue("dashboard_tasks.echo", job_id="j")
    redis.hset("rq:job:j", field, "nonsense")
    assert client.post("/jobs/j/requeue").status_code == 409
    assert client.post("/jobs/j/delete").status_code == 303
    assert not redis.exists("rq:job:j")
    assert queue.count == 0


def test_a_panel_that_hangs_does_not_hold_up_the_page(redis):
    answered = threading.Event()

    def last_ingest() -> Panel:
        answered.wait(30)
        return Panel(title="Last ingest", note="at last")

    client = create_app(
        redis, Options(open_on_loopback=True, panels=(last_ingest,))
    ).test_client()
    assert "Last ingest no answer yet" in words(client.get("/"))
    answered.set()
    assert "Last ingest at last" in words(client.get("/"))


def test_without_an_address_the_way_out_is_named():
    with pytest.raises(ConfigurationError, match="REDIS_URL"):
        create_app(None, OPEN)


def test_half_a_surrogate_pair_does_not_break_a_page(client, queue, work):
    queue.enqueue("dashboard_tasks.echo", "\ud83d", job_id="j", description="half")
    work()
    assert client.get("/jobs/j").status_code == 200
    assert client.get("/rq/0/data/job/j.json").status_code == 200


def test_what_is_too_large_hides_itself_only(client, redis, queue):
    queue.enqueue("dashboard_tasks.echo", job_id="j")
    redis.hset("rq:job:j", "data", zlib.compress(b'"' + b"a" * 50_000_000 + b'"'))
    answer = client.get("/jobs/j")
    assert "too large to show" in answer.text
    assert len(answer.data) < 100_000


def test_a_client_that_decodes_is_refused():
    with (
        Redis(decode_responses=True) as redis,
        pytest.raises(ConfigurationError, match="decode_responses"),
    ):
        create_app(redis, OPEN)


def test_no_page_needs_a_queue_object_per_request(client, redis):
    """An open tab asks every few seconds: what it costs Redis stays small."""
    for number in range(40):
        Queue(f"q{number}", connection=redis, serializer="json").enqueue("a.b")
    before = redis.info("stats")["total_connections_received"]
    for _ in range(3):
        client.get("/")
        client.get("/rq/0/data/queues.json")
    assert redis.info("stats")["total_connections_received"] - before <= 1
