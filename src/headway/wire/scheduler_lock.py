"""RQ's own scheduler, beside ours: each leaves alone the queues that the other has.

RQ keeps a lock for each queue that a scheduler serves: its name, for 60 seconds and
its interval, renewed in each of its rounds. Ours take the same lock, for a shorter time
and by one name for all of them: any number of ours go on, and RQ's do not begin.
"""

from __future__ import annotations

import os
import socket
from typing import TYPE_CHECKING

from headway.wire import keys
from headway.wire.reading import text
from headway.wire.scripts import Scripts

if TYPE_CHECKING:
    from redis import Redis

#: What the lock says while it is ours.
OURS = "headway:scheduler"
#: For how long it then is, in milliseconds.
OURS_MS = 10_000
#: A scheduler of RQ's that lives lets its lock come to less than 60 s only while it
#: enqueues. One that has is taken for dead if its process is gone as well.
SILENT_MS = 50_000

_scripts = Scripts()


def free_of_dead(client: Redis, queue: str, holder: str, rest: int) -> bool:
    """Free a queue of a scheduler of RQ's that died on this machine; tell whether.

    `rest` is how long its lock is yet, in milliseconds.
    """
    if rest > SILENT_MS or not _died_here(client, holder):
        return False
    return bool(_scripts.unlock(client, [keys.scheduler_lock(queue)], [holder]))


def _died_here(client: Redis, holder: str) -> bool:
    host, pid = client.hmget(keys.rq_scheduler(holder), "hostname", "pid")
    if text(host) != socket.gethostname() or not text(pid).isdecimal():
        return False
    try:
        os.kill(int(text(pid)), 0)
    except ProcessLookupError:
        return True
    except OSError:  # it is another user's
        return False
    return False
