from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from headway.errors import ConfigurationError
from headway.settings import Settings, without_password


def test_nothing_said_means_the_defaults():
    settings = Settings.from_environment({})
    assert settings == Settings()
    assert settings.redis_url is None


def test_everything_said_is_read():
    settings = Settings.from_environment(
        {
            "REDIS_URL": "rediss://:p@host:6380/1",
            "HEADWAY_APP": "shop.queues:app",
            "HEADWAY_DATA": "/data",
            "HEADWAY_GRACE": "90",
            "PORT": "80",
            "LOG_LEVEL": "debug",
            "LOG_FORMAT": "JSON",
            "HEADWAY_SECRET": "s",
            "HEADWAY_CHILDREN": "4",
            "WEB_CONCURRENCY": "2",
            "HEADWAY_DEVICES": "0, GPU-5c89fd7a-1111-2222-3333-444444444444",
            "CUDA_VISIBLE_DEVICES": "0",
        }
    )
    assert settings == Settings(
        redis_url="rediss://:p@host:6380/1",
        app="shop.queues:app",
        data=Path("/data"),
        grace=timedelta(seconds=90),
        port=80,
        log_level="DEBUG",
        log_format="json",
        secret="s",
        children=4,
        web_concurrency=2,
        devices=("0", "GPU-5c89fd7a-1111-2222-3333-444444444444"),
        cuda_visible_devices="0",
    )
    assert "secret" not in repr(settings)


@pytest.mark.parametrize(
    "name", ["REDIS_URL", "REDIS_TLS_URL", "REDISCLOUD_URL", "RQ_REDIS_URL"]
)
def test_each_platforms_name_of_redis_is_understood(name):
    assert Settings.from_environment({name: "redis://h"}).redis_url == "redis://h"


def test_an_empty_variable_is_not_there():
    found = Settings.from_environment({"REDIS_URL": "", "RQ_REDIS_URL": "redis://h"})
    assert found.redis_url == "redis://h"


def test_an_empty_list_of_cudas_own_hides_every_device():
    read = Settings.from_environment
    assert read({"CUDA_VISIBLE_DEVICES": ""}).cuda_visible_devices == ""
    assert read({"HEADWAY_DEVICES": "", "HEADWAY_CHILDREN": ""}) == Settings()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("REDIS_URL", "localhost:6379"),
        ("REDIS_URL", "http://h"),
        ("REDIS_URL", "redis://h:99999"),
        ("REDIS_URL", "redis://h:port"),
        ("HEADWAY_APP", "queues"),
        ("HEADWAY_APP", ":app"),
        ("HEADWAY_GRACE", "-1"),
        ("HEADWAY_GRACE", "soon"),
        ("PORT", "70000"),
        ("PORT", "1x"),
        ("LOG_LEVEL", "LOUD"),
        ("LOG_FORMAT", "xml"),
        ("HEADWAY_CHILDREN", "0"),
        ("HEADWAY_CHILDREN", "many"),
        ("WEB_CONCURRENCY", "1025"),
        ("HEADWAY_DEVICES", "gpu0"),
        ("HEADWAY_DEVICES", "0,0"),
        ("HEADWAY_DEVICES", "0,"),
        ("HEADWAY_DEVICES", "-1"),
    ],
)
def test_a_wrong_variable_is_named_with_its_value_and_what_is_expected(name, value):
    with pytest.raises(ConfigurationError) as caught:
        Settings.from_environment({name: value})
    assert f"{name}={value!r}: expected" in str(caught.value)


def test_all_mistakes_are_reported_at_once():
    wrong = {"PORT": "x", "LOG_LEVEL": "y", "REDIS_URL": "z", "HEADWAY_APP": "q"}
    with pytest.raises(ConfigurationError) as caught:
        Settings.from_environment(wrong)
    assert all(f"{name}=" in str(caught.value) for name in wrong)


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("redis://user:secret@host:1/0", "redis://host:1/0"),
        ("redis://:se@cret@host", "redis://host"),
        ("user:secret@host:6379", "host:6379"),
        (":secret@host", "host"),
        ("redis://host/0?password=secret&db=1", "redis://host/0?password=***&db=1"),
        ("redis://host", "redis://host"),
        ("nonsense", "nonsense"),
    ],
)
def test_no_password_is_ever_shown(url, shown):
    assert without_password(url) == shown
    with pytest.raises(ConfigurationError) as caught:
        Settings.from_environment({"REDIS_URL": url.replace("redis:", "http:")})
    assert "cret" not in str(caught.value)
