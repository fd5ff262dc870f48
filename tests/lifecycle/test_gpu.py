"""Workers of a GPU queue, on devices that are only named: no GPU is looked for."""

from __future__ import annotations

import os
import select
import signal
import sys

import pytest

from headway.app import load_app

APP = """
from headway import App, Queue

app = App(queues=[Queue("gpu", device="cuda"), Queue("default")], tasks="gpu_tasks")
"""
TASKS = """
import os
import sys
from pathlib import Path
from threading import Event

from gpu_app import app
from headway import current_job

LOADED = []
MEETING = Path(__file__).parent / "meeting"


@app.resource(scope="child")
def model():
    LOADED.append("model")
    yield "a model"


@app.task(queue="gpu")
def where() -> dict:
    current_job().resource(model)
    return {
        "pid": os.getpid(),
        "parent": os.getppid(),
        "loaded": len(LOADED),
        "spawned": any("headway.worker.spawned" in word for word in sys.orig_argv),
        "visible": os.environ.get("CUDA_VISIBLE_DEVICES"),
        "order": os.environ.get("CUDA_DEVICE_ORDER"),
        "device": os.environ.get("HEADWAY_DEVICE"),
    }


@app.task(queue="gpu")
def meet(count: int) -> dict:
    # Ends when so many processes have come: no child can run all such jobs.
    MEETING.mkdir(exist_ok=True)
    (MEETING / str(os.getpid())).touch()
    while len(list(MEETING.iterdir())) < count:
        Event().wait(0.01)
    return where.function()


@app.task(queue="gpu")
def use_up():
    raise RuntimeError("CUDA out of memory. Tried to allocate 20.00 MiB")
"""


@pytest.fixture(autouse=True)
def gpu_app(tmp_path, monkeypatch, redis_url):
    """An application with a GPU queue, whose claims are the test's own."""
    (tmp_path / "gpu_app.py").write_text(APP)
    (tmp_path / "gpu_tasks.py").write_text(TASKS)
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setenv("REDIS_URL", redis_url)
    monkeypatch.syspath_prepend(str(tmp_path))
    app = load_app("gpu_app:app")
    yield app
    app.close()
    for name in ("gpu_app", "gpu_tasks"):
        sys.modules.pop(name, None)


@pytest.fixture
def tasks(gpu_app):
    import gpu_tasks

    return gpu_tasks


@pytest.fixture
def worker(start, tmp_path):
    def begin(*arguments, devices="0,1"):
        env = {"HEADWAY_APP": "gpu_app:app", "HEADWAY_DEVICES": devices}
        env["TMPDIR"] = str(tmp_path)
        return start("headway", "worker", *arguments, env=env)

    return begin


def results(jobs):
    return [job.result(timeout=30) for job in jobs]


def test_each_device_has_a_child_that_sees_no_other(worker, tasks):
    worker("gpu")
    found = results([tasks.meet.enqueue(2), tasks.meet.enqueue(2)])
    assert {each["visible"] for each in found} == {"0", "1"}
    assert all(each["device"] == each["visible"] for each in found)
    assert all(each["order"] == "PCI_BUS_ID" for each in found)


def test_a_child_of_a_device_is_a_program_of_its_own_that_loads_its_model_once(
    worker, tasks
):
    process = worker("gpu", devices="0")
    found = results([tasks.where.enqueue() for _ in range(5)])
    assert {each["parent"] for each in found} == {process.pid}
    assert all(each["spawned"] for each in found)
    assert [each["loaded"] for each in found] == [1] * 5


def test_a_share_makes_two_children_of_a_device(worker, tasks):
    worker("gpu", "--gpu-share", "0.5", devices="0")
    found = results([tasks.meet.enqueue(2), tasks.meet.enqueue(2)])
    assert [each["visible"] for each in found] == ["0", "0"]
    assert len({each["pid"] for each in found}) == 2


def test_two_workers_share_the_devices_out_and_a_third_is_told_so(
    worker, tasks, command, tmp_path
):
    first = worker("gpu", devices="0")
    results([tasks.where.enqueue()])
    worker("gpu")
    found = results([tasks.meet.enqueue(2), tasks.meet.enqueue(2)])
    by_first = {each["visible"]: each["parent"] == first.pid for each in found}
    assert by_first == {"0": True, "1": False}
    env = {"HEADWAY_APP": "gpu_app:app", "HEADWAY_DEVICES": "0,1"}
    third = command("headway", "worker", "gpu", env=env | {"TMPDIR": str(tmp_path)})
    assert third.returncode == 2
    assert f"0 by process {first.pid}" in third.stderr


def test_a_killed_worker_gives_its_device_to_the_next(worker, tasks):
    first = worker("gpu", devices="0")
    (before,) = results([tasks.where.enqueue()])
    child = os.pidfd_open(before["pid"])
    first.send_signal(signal.SIGKILL)
    ended, _, _ = select.select([child], [], [], 10)
    os.close(child)
    assert ended
    worker("gpu", devices="0")
    (after,) = results([tasks.where.enqueue()])
    assert after["visible"] == "0"
    assert after["pid"] != before["pid"]


def test_a_child_that_has_used_up_its_device_is_replaced(worker, tasks):
    worker("gpu", devices="0")
    (before,) = results([tasks.where.enqueue()])
    tasks.use_up.enqueue()
    (after,) = results([tasks.where.enqueue()])
    assert after["pid"] != before["pid"]
    assert (after["parent"], after["visible"]) == (before["parent"], "0")


def test_children_of_other_queues_are_forked_beside_them(worker, tasks):
    worker("gpu", "default", "--children", "1", devices="0")
    plain = tasks.where.using(queue="default").enqueue()
    on_device, other = results([tasks.where.enqueue(), plain])
    assert (on_device["visible"], on_device["spawned"]) == ("0", True)
    assert (other["visible"], other["spawned"]) == (None, False)
    assert on_device["parent"] == other["parent"]


def test_without_a_device_the_worker_says_what_it_tried(command):
    env = {"HEADWAY_APP": "gpu_app:app", "CUDA_VISIBLE_DEVICES": ""}
    done = command("headway", "worker", "gpu", env=env)
    assert done.returncode == 2
    assert "CUDA_VISIBLE_DEVICES='' hides all" in done.stderr
