"""Jobs that another engine carries: taken by their id, once, whatever it delivers."""

from __future__ import annotations

import json
from itertools import count

import pytest
from rq.job import Job as RQJob
from rq.serializers import JSONSerializer

from headway.backends.carried import RUN, Elsewhere, Parcel
from headway.backends.celery import KEY_PREFIX, CeleryBackend
from headway.codec import Arguments
from headway.errors import CapabilityError
from headway.lease import Holder
from headway.settings import Settings
from headway.wire import keys
from headway.wire.broker import RedisChildBroker
from headway.wire.leftovers import Leftovers
from headway.wire.overdue import UNDER_WAY


@pytest.fixture
def carried(app):
    """The application on Celery; its messages wait in Redis."""
    with app.using_engine("celery") as backend:
        assert isinstance(backend, CeleryBackend)
        yield app


@pytest.fixture
def backend(carried):
    return carried.backend()


@pytest.fixture
def take(store):
    """Take a job by its id, as a child of that name."""
    brokers, ordinals = {}, count(1)

    def taken(job_id, name="one", ordinal=None):
        holder = Holder(child=f"w{name}:p", worker=f"w{name}", execution_prefix="p")
        broker = brokers.setdefault(name, RedisChildBroker(store, holder, lease=30))
        return broker.reserve_one(job_id, ordinal or next(ordinals))

    yield taken
    for broker in brokers.values():
        broker.close()


def sent(store, queue="default"):
    return [job_id.decode() for job_id in store.zrange(keys.sent(queue), 0, -1)]


def outbox(store, queue="default"):
    return [job_id.decode() for job_id in store.lrange(keys.queue(queue), 0, -1)]


def messages(store, queue="default"):
    """The ids that its workers would be given, the next one first."""
    found = store.lrange(KEY_PREFIX + queue, 0, -1)[::-1]
    return [json.loads(each)["headers"]["id"] for each in found]


def age(store, job_id, seconds=UNDER_WAY + 1, queue="default"):
    store.zincrby(keys.sent(queue), -seconds, job_id)


def test_a_job_is_sent_as_it_is_written(carried, basic, store):
    jobs = [basic.add.enqueue(n) for n in range(3)]
    assert messages(store) == sent(store) == [job.id for job in jobs]
    assert outbox(store) == []
    assert [str(job.status) for job in jobs] == ["queued"] * 3


def test_many_jobs_of_many_queues_are_sent_together(carried, basic, store):
    later = basic.add.using(queue="low").message
    jobs = carried.enqueue_many([later(1), basic.add.message(2), later(3)])
    assert messages(store, "low") == [jobs[0].id, jobs[2].id]
    assert messages(store) == [jobs[1].id]


def test_a_message_names_the_task_and_its_arguments(carried, basic, store):
    basic.add.enqueue(1, other=2)
    message = json.loads(store.lindex(KEY_PREFIX + "default", 0))
    assert message["headers"]["task"] == "sample_tasks.basic.add"
    assert message["headers"]["timelimit"] == [240, None]
    plain = carried.queue("low").enqueue(basic.plain, carried.clock.now())
    message = json.loads(store.lindex(KEY_PREFIX + "low", 0))
    assert message["headers"]["task"] == "headway.run"
    assert message["headers"]["id"] == plain.id


def test_a_job_for_the_front_is_given_to_the_next_worker(carried, basic, store):
    first = basic.add.enqueue(1)
    urgent = basic.add.using(at_front=True).enqueue(2)
    assert messages(store) == [urgent.id, first.id]


def test_who_takes_a_job_first_has_it(carried, basic, store, take):
    job = basic.add.enqueue(7)
    lease = take(job.id)
    assert (lease.job_id, lease.queue, lease.delivery) == (job.id, "default", 1)
    assert job.status == "started"
    assert take(job.id, "two") is None
    assert sent(store) == []


def test_the_same_question_has_the_same_answer(carried, basic, take):
    job = basic.add.enqueue(7)
    assert take(job.id, ordinal=5) == take(job.id, ordinal=5)
    assert take(job.id, ordinal=6) is None


def test_what_is_not_there_to_be_run_is_dropped(carried, basic, take):
    canceled, deleted = basic.add.enqueue(1), basic.add.enqueue(2)
    assert canceled.cancel()
    deleted.delete()
    later = basic.add.enqueue_in(carried.queues[2].timeout, 3)
    for job in (canceled, deleted, later):
        assert take(job.id) is None
    assert canceled.status == "canceled"
    assert later.status == "scheduled"


def test_a_job_that_is_about_to_be_sent_may_be_taken_already(
    carried, basic, backend, store, take
):
    job = basic.add.enqueue(1)
    job.cancel()
    job.requeue()
    assert outbox(store) == [job.id]
    assert take(job.id) is not None
    assert backend.relay(["default"]) == 0
    assert sent(store) == []


def test_what_others_put_back_is_sent(carried, basic, backend, store):
    job = basic.add.enqueue(1)
    job.cancel()
    store.delete(KEY_PREFIX + "default")
    job.requeue()
    assert backend.relay(["high", "default", "low"]) == 1
    assert messages(store) == sent(store) == [job.id]


def test_one_at_a_time_hands_many_jobs_over_to_a_broker_elsewhere(
    carried, basic, backend, store
):
    jobs = [basic.add.enqueue(n) for n in range(3)]
    for job in jobs:
        job.cancel()
        job.requeue()
    published, others = [], []

    def publish(parcel):
        published.append(parcel.id)
        others.append(elsewhere.carry("default", [parcel, parcel]))

    elsewhere = Elsewhere(backend, publish, lambda _queue: 0, lambda: None)
    parcels = [Parcel(job.id, "default", RUN, Arguments((), {}), 0) for job in jobs]
    assert elsewhere.carry("default", parcels) == 3
    assert published == [job.id for job in jobs]
    assert sent(store) == sorted(published)
    assert others == [0, 0, 0]
    assert elsewhere.carry("default", parcels) == 0  # it was looked up before
    assert elsewhere.carry("default", parcels[:1]) == 1


def test_a_paused_queue_keeps_its_jobs_until_it_goes_on(
    carried, basic, backend, store, take
):
    job = basic.add.enqueue(1)
    carried.queue("default").pause()
    assert take(job.id) is None
    assert outbox(store) == [job.id]
    assert backend.relay(["default"]) == 0
    carried.queue("default").resume()
    assert backend.relay(["default"]) == 1
    assert take(job.id) is not None


def test_a_message_that_was_lost_is_sent_again(carried, basic, backend, store, take):
    job = basic.add.enqueue(1)
    store.delete(KEY_PREFIX + "default")
    assert backend.send_lost(["default"]) == []  # it may be under way
    age(store, job.id)
    assert backend.send_lost(["default"]) == [job.id]
    assert backend.relay(["default"]) == 1
    message = json.loads(store.lindex(KEY_PREFIX + "default", 0))
    assert message["headers"]["task"] == "headway.run"  # every worker knows that name
    assert take(job.id) is not None


@pytest.mark.parametrize("end", [RQJob.delete, RQJob.cancel])
def test_what_rqs_own_tools_have_ended_is_not_sent_again(
    carried, basic, backend, store, end
):
    gone, waiting = basic.add.enqueue(1), basic.add.enqueue(2)
    end(RQJob.fetch(gone.id, connection=store, serializer=JSONSerializer))
    store.delete(KEY_PREFIX + "default")
    for job in (gone, waiting):
        age(store, job.id)
    assert backend.send_lost(["default"]) == [waiting.id]
    assert (outbox(store), sent(store)) == ([waiting.id], [])


def test_while_messages_wait_none_is_taken_for_lost(carried, basic, backend, store):
    job = basic.add.enqueue(1)
    age(store, job.id)
    assert backend.send_lost(["default"]) == []


def test_what_others_have_overtaken_by_far_is_lost(
    carried, basic, backend, store, take
):
    lost, other, last = (basic.add.enqueue(n) for n in range(3))
    age(store, lost.id, 10 * UNDER_WAY)
    age(store, other.id)
    assert take(other.id) is not None
    age(store, last.id)
    assert backend.send_lost(["default"]) == [lost.id]


def test_workers_of_rq_take_back_what_another_engine_leaves(carried, basic, store):
    job = basic.add.enqueue(1)
    leftovers = Leftovers(store, ["high", "default"])
    assert leftovers.recall() == []
    age(store, job.id)
    assert leftovers.recall() == [job.id]
    assert (outbox(store), sent(store)) == ([job.id], [])


def test_one_worker_serves_jobs_of_every_engine_after_a_change(
    carried, basic, store, work
):
    job = basic.add.enqueue(20, 22)
    age(store, job.id)
    Leftovers(store, ["default"]).recall()
    work("headway", "worker", "--burst", "--children", "1", HEADWAY_ENGINE="rq")
    assert job.result(timeout=5) == 42


def test_a_broker_that_is_away_keeps_no_job_from_being_kept(
    sample, redis_url, monkeypatch, store, caplog
):
    pytest.importorskip("kombu")
    from headway import load_app

    monkeypatch.setenv("REDIS_URL", redis_url)
    monkeypatch.setenv("HEADWAY_BROKER_URL", "amqp://127.0.0.1:1/")
    app = load_app("sample_app:app")
    app.registry.import_all()
    with app.using_engine("celery"):
        job = app.registry.resolve("sample_tasks.basic.add").enqueue(1)
        assert outbox(store) == [job.id]
    assert "1 jobs of queue default are kept" in caplog.text


def test_what_an_engine_cannot_do_is_refused(sample, redis_url, monkeypatch):
    from headway import App, Queue, load_app

    monkeypatch.setenv("REDIS_URL", redis_url)
    monkeypatch.setenv("HEADWAY_BROKER_URL", "amqp://127.0.0.1:1/")
    app = load_app("sample_app:app")
    app.registry.import_all()
    add = app.registry.resolve("sample_tasks.basic.add")
    with (
        app.using_engine("celery"),
        pytest.raises(
            CapabilityError, match="'celery on RabbitMQ' has no at_front here; .* rq"
        ),
    ):
        add.using(at_front=True).enqueue(1)
    with pytest.raises(CapabilityError, match="device='cuda'.* 'dramatiq'"):
        App(queues=[Queue("gpu", device="cuda", engine="dramatiq")], tasks="x")


@pytest.mark.parametrize("engine", ["celery", "dramatiq", "arq"])
def test_applications_of_other_prefixes_are_given_no_message_of_ours(
    command, store, engine
):
    send = "from headway import load_app; app = load_app('sample_app:app'); "
    send += "app.registry.resolve('sample_tasks.basic.add').enqueue(1)"
    env = {"RQ_KEY_PREFIX": "other", "HEADWAY_ENGINE": engine}
    done = command("python", "-c", send, env=env)
    assert done.returncode == 0, done.stderr
    found = {key.decode() for key in store.scan_iter("*")}
    queues = {key for key in found if f":{engine}:" in key}
    assert queues
    assert all(key.startswith("headway:other:") for key in queues)


def test_an_environment_names_the_engine(sample, monkeypatch):
    from headway import load_app
    from headway.errors import ConfigurationError

    monkeypatch.setenv("HEADWAY_ENGINE", "celery")
    assert load_app("sample_app:app").engine == "celery"
    with pytest.raises(ConfigurationError, match="HEADWAY_BROKER_URL='redis://"):
        Settings.from_environment({"HEADWAY_BROKER_URL": "redis://:x@there"})
