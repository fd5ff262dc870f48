from __future__ import annotations

from pathlib import Path

import pytest
import rq_dashboard
from rq import Queue

from headway.dashboard import (
    Options,
    Role,
    Visitor,
    create_app,
    rq_templates,
    sweep,
)
from headway.errors import ConfigurationError


def jobs_page(client, registry="queued", per_page=8, order="asc", page=1):
    path = f"/rq/0/data/jobs/default/{registry}/{per_page}/{order}/{page}.json"
    return client.get(path).json


def ids(page):
    return [job["id"] for job in page["jobs"]]


@pytest.mark.parametrize("order", ["asc", "dsc"])
@pytest.mark.parametrize("registry", ["queued", "failed", "finished"])
def test_every_page_has_exactly_its_rows_and_no_job_is_on_two(
    client, queue, redis, registry, order
):
    names = [f"j{number:02}" for number in range(27)]
    for score, name in enumerate(names):
        queue.enqueue("dashboard_tasks.echo", job_id=name)
        if registry != "queued":
            redis.zadd(f"rq:{registry}:default", {name: 9_999_999_000 + score})
    pages = [jobs_page(client, registry, 8, order, page) for page in (1, 2, 3, 4, 5)]
    assert [len(ids(page)) for page in pages] == [8, 8, 8, 3, 0]
    seen = [name for page in pages for name in ids(page)]
    assert seen == (names if order == "asc" else names[::-1])
    assert pages[0]["pagination"]["num_pages"] == 4


def test_jobs_whose_data_expired_still_take_their_row(client, redis):
    redis.zadd("rq:finished:default", {f"gone{number}": number for number in range(9)})
    page = jobs_page(client, "finished")
    assert len(page["jobs"]) == 8
    assert page["jobs"][0]["description"] == "(this job's data has expired)"


def test_a_page_is_never_longer_than_two_hundred_rows(client, redis):
    redis.rpush("rq:queue:default", *range(500))
    assert len(ids(jobs_page(client, per_page=100_000))) == 200
    assert client.get("/rq/0/data/jobs/default/queued/x/asc/1.json").status_code == 404
    assert client.get("/rq/0/data/jobs/default/queued/8/up/1.json").status_code == 404
    assert client.get("/rq/0/data/jobs/default/lost/8/asc/1.json").status_code == 404


def test_a_job_with_dependencies_is_shown(client, queue):
    first = queue.enqueue("dashboard_tasks.echo", job_id="first")
    queue.enqueue("dashboard_tasks.echo", depends_on=first, job_id="second")
    answer = client.get("/rq/0/data/job/second.json")
    assert answer.json["depends_on"] == ["first"]
    assert answer.json["depends_on_status"] == ["active"]
    first.delete()
    answer = client.get("/rq/0/data/job/second.json")
    assert answer.json["depends_on_status"] == ["expired"]


def test_a_busy_worker_of_json_jobs_is_shown(client, queue, redis, worker):
    queue.enqueue("dashboard_tasks.hold", job_id="held")
    with worker("-n", "the-worker", "default"):
        assert redis.blpop(["test:holding"], 30)
        answer = client.get("/rq/0/data/workers.json")
        redis.lpush("test:release", "1")
    (found,) = answer.json["workers"]
    assert found["name"] == "the-worker"
    assert found["current_job"]["job_id"] == "held"


def test_an_unknown_job_is_not_found(client):
    assert client.get("/rq/0/view/job/nobody").status_code == 404
    answer = client.get("/rq/0/data/job/nobody.json")
    assert answer.status_code == 404
    assert "no job" in answer.json["message"].lower()


def test_the_ready_registry_is_shown(client, queue, redis):
    queue.enqueue("dashboard_tasks.echo", job_id="j")
    redis.zadd("rq:ready:default", {"j": 1})
    assert ids(jobs_page(client, "ready")) == ["j"]
    page = client.get("/rq/0/view/jobs/default/ready/8/asc/1")
    assert "<option selected>ready</option>" in page.text


def test_a_result_that_cannot_be_read_hides_only_itself(client, redis):
    pickled = Queue("default", connection=redis)  # rq's default serializer
    job = pickled.enqueue("dashboard_tasks.echo", job_id="j")
    redis.xadd(f"rq:results:{job.id}", {"type": 1, "return_value": "gASVCgAAAA=="})
    redis.zadd("rq:finished:default", {"j": 1})
    assert ids(jobs_page(client, "finished")) == ["j"]
    answer = client.get("/rq/0/data/job/j.json")
    assert answer.json["result"].startswith("not JSON")
    assert answer.json["description"] == "dashboard_tasks.echo()"


def test_there_is_one_redis_and_no_other_number(client):
    assert client.get("/rq/0/view/queues", follow_redirects=True).status_code == 200
    for path in ("/rq/1/view/queues", "/rq/1/data/queues.json", "/rq/7/view/workers"):
        assert client.get(path).status_code == 404


def test_the_address_of_redis_is_shown_without_its_password(redis, client):
    page = client.get("/rq/").text
    assert "127.0.0.1:" in page
    assert "redis://" not in page


def test_requeue_and_delete_work_from_rq_dashboard_too(client, queue, work):
    for name in ("a", "b", "c"):
        queue.enqueue("dashboard_tasks.fail", name, job_id=name)
    work()
    assert client.post("/rq/job/a/requeue").json == {"status": "OK"}
    assert client.post("/rq/job/b/delete").json == {"status": "OK"}
    assert client.post("/rq/requeue/default").json["done"] == 1
    assert sorted(queue.job_ids) == ["a", "c"]


def test_a_get_never_requeues(client, queue, work):
    queue.enqueue("dashboard_tasks.fail", "no")
    work()
    assert client.get("/rq/requeue/default").status_code == 405
    foreign = {"Sec-Fetch-Site": "cross-site"}
    assert client.get("/rq/requeue/default", headers=foreign).status_code == 403
    assert queue.count == 0


def test_a_long_list_is_emptied_in_requests_of_seconds(client, redis):
    pipeline = redis.pipeline(transaction=False)
    for number in range(20_000):
        pipeline.hset(f"rq:job:{number}", "status", "finished")
        pipeline.zadd("rq:finished:default", {str(number): number})
    pipeline.execute()
    left, requests = 20_000, 0
    while left:
        answer = client.post(
            "/rq/queue/default/finished/empty", data={"limit": left} if requests else {}
        )
        left, requests = answer.json["left"], requests + 1
        assert requests < 20
    assert redis.dbsize() == 0


def test_a_long_sweep_stops_in_time_and_says_what_is_left(client, redis, monkeypatch):
    monkeypatch.setattr(sweep, "SECONDS", 0.000001)
    monkeypatch.setattr(sweep, "STEP", 10)
    redis.rpush("rq:queue:default", *range(100))
    answer = client.post("/rq/queue/default/queued/empty").json
    assert answer["done"] + answer["left"] == 100
    assert answer["left"] > 0
    assert redis.llen("rq:queue:default") == answer["left"]


def test_emptying_leaves_what_came_meanwhile(client, redis):
    redis.rpush("rq:queue:default", *range(10))
    answer = client.post("/rq/queue/default/queued/empty", data={"limit": 4}).json
    assert answer == {"status": "OK", "count": 4, "done": 4, "left": 0}
    assert redis.llen("rq:queue:default") == 6


def test_running_jobs_are_not_emptied(client, redis):
    redis.zadd("rq:wip:default", {"j:e": 1})
    answer = client.post("/rq/queue/default/started/empty", headers={"Accept": "*/*"})
    assert answer.status_code == 409
    assert redis.zcard("rq:wip:default") == 1


def test_compact_takes_dead_ids_and_keeps_the_order_of_the_living(
    client, queue, redis, monkeypatch
):
    monkeypatch.setattr(sweep, "STEP", 7)
    for number in range(40):
        queue.enqueue("dashboard_tasks.echo", job_id=f"j{number}")
        redis.rpush("rq:queue:default", f"dead{number}")
    answer = client.post("/rq/queue/default/compact").json
    assert answer["done"] == 40
    assert queue.job_ids == [f"j{number}" for number in range(40)]


def test_no_template_prints_without_escaping(client, queue):
    queue.enqueue("dashboard_tasks.echo", job_id="j")
    for path in ("/rq/", "/rq/0/view/jobs", "/rq/0/view/workers", "/rq/0/view/job/j"):
        page = client.get(path)
        assert page.status_code == 200
        assert "<%=" not in page.text
        assert "<%-" in page.text
        assert page.text.count("<script") == page.text.count('<script nonce="')


def test_a_queue_name_in_the_address_stays_a_string(client):
    page = client.get("/rq/0/view/jobs/');alert(1);('/queued/8/asc/1").text
    assert "');alert(1);('" not in page


def test_another_version_of_rq_dashboard_is_refused():
    with pytest.raises(ConfigurationError, match=r"rq-dashboard==0\.9\.0"):
        rq_templates.repaired("job.html", "<p>a new template</p>")


def test_every_template_that_is_repaired_is_there():
    folder = Path(rq_dashboard.blueprint.root_path) / "templates/rq_dashboard"
    for name in rq_templates.REPAIRS:
        assert rq_templates.repaired(name, (folder / name).read_text())


def test_who_may_only_look_is_offered_no_button(redis, queue):
    queue.enqueue("dashboard_tasks.echo", job_id="j")
    for role, offered in ((Role.VIEW, False), (Role.ACT, True)):
        visitor = Visitor(name="bob", role=role)
        options = Options(visitor=lambda _request, visitor=visitor: visitor)
        client = create_app(redis, options).test_client()
        of_one = client.get("/rq/0/view/job/j").text
        failed = client.get("/rq/0/view/jobs/default/failed/8/asc/1").text
        queued = client.get("/rq/0/view/jobs/default/queued/8/asc/1").text
        assert ('id="requeue-job-btn"' in of_one) is offered
        assert ('id="requeue-all-btn"' in failed) is offered
        assert ('data-role="requeue-job-btn" class' in failed) is offered
        assert ('id="compact-btn"' in queued) is offered


def test_what_a_button_asks_names_its_queue(client):
    page = client.get("/rq/0/view/jobs/night/failed/8/asc/1").text
    assert 'modalConfirm("delete all failed jobs of night"' in page
    assert 'modalConfirm("requeue all failed jobs of night"' in page
    assert 'modalConfirm("compact night"' in page
    hostile = client.get("/rq/0/view/jobs/');alert(1);('/queued/8/asc/1").text
    assert "');alert(1);('" not in hostile


def test_its_pages_lead_to_schedules_and_find_jobs(client):
    page = client.get("/rq/").text
    assert 'href="/schedules"' in page
    assert '<form id="navbar-find" action="/jobs/"' in page
    assert "[0]" not in page


def test_its_own_connection_is_never_made(app):
    assert not hasattr(app, "redis_conn")
    assert "rq_dashboard" not in app.before_request_funcs
