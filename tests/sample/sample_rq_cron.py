"""What a file for `rq cron` may register."""

from __future__ import annotations

from rq import cron
from sample_tasks.basic import add, plain

cron.register(add, "low", args=(1, 2), cron="30 3 * * *", name="nightly")
cron.register(
    add,
    "default",
    kwargs={"one": 1},
    interval=300,
    job_timeout=60,
    result_ttl=3600,
    ttl=120,
    failure_ttl=7200,
)
cron.register(add, "default", (1,), interval=60, result_ttl=-1, meta={"owner": "me"})
cron.register(add, "default", (1,), cron="0 3 * * * 15")
cron.register(plain, "elsewhere", ("2026-01-01T00:00:00Z",), interval=60)
cron.register(add, "default", (1,), interval=60, cron="0 3 * * *")
