"""Jobs as one run of `enqueue.lua` takes them, packed as they are added."""

from __future__ import annotations

from datetime import datetime

from headway.message import Envelope, Terms
from headway.wire import job_hash, keys
from headway.wire.line import command, pack
from headway.wire.scripts import Script
from headway.wire.standing import standing, times

#: What one run of the script takes at most: it holds Redis up for about 5 ms.
JOBS, BYTES = 500, 1_000_000
_HEAD_OF_KEYS = pack(keys.QUEUES, keys.FORM)
_HEAD_OF_ARGS = pack(keys.JOB_PREFIX)


class Chunk:
    """Jobs that are sent in one command."""

    def __init__(self, now: datetime) -> None:
        self._now = job_hash.time_text(now)
        self._keys, self._key_count = [_HEAD_OF_KEYS], 2
        self._args, self._arg_count = [_HEAD_OF_ARGS], 1
        self._bytes = 0
        #: Those of the last group, and where its number of jobs is to stand.
        self._terms: Terms | None = None
        self._number_at = self._in_group = 0
        self.jobs = 0

    @property
    def is_full(self) -> bool:
        """Tell whether one job more would hold Redis up for too long."""
        return self.jobs >= JOBS or self._bytes >= BYTES

    def add(self, envelope: Envelope) -> None:
        """Write a job behind the others."""
        terms = envelope.terms
        if terms is not self._terms and terms != self._terms:
            self._end_group()
            self._begin_group(terms)
        key = f"{keys.JOB_PREFIX}{envelope.id}".encode()
        data = job_hash.payload(terms.task, envelope.arguments)
        text = envelope.description.encode(errors="replace")
        self._keys.append(b"$%d\r\n%b\r\n" % (len(key), key))
        self._args.append(
            b"$%d\r\n%b\r\n$%d\r\n%b\r\n" % (len(data), data, len(text), text)
        )
        self._bytes += len(data) + len(text)
        self._in_group += 1
        self.jobs += 1

    def packed(self, script: Script, *, whole: bool) -> bytes:
        """Return the command, by the script's hash or with the whole script."""
        self._end_group()
        name, which = (b"EVAL", script.text) if whole else (b"EVALSHA", script.sha)
        head = pack(name, which, self._key_count)
        words = 3 + self._key_count + self._arg_count
        return command(words, b"".join([head, *self._keys, *self._args]))

    def _begin_group(self, terms: Terms) -> None:
        common, when = standing(terms), times(terms, self._now)
        words = common.words + (2 if terms.due else 4)
        self._keys.append(common.place)
        self._number_at = len(self._args)
        self._args += [b"", common.how, pack(words), common.fields, when]
        self._key_count += 3
        self._arg_count += 6 + words
        self._terms, self._in_group = terms, 0

    def _end_group(self) -> None:
        if self._in_group:
            self._args[self._number_at] = pack(self._in_group)
            self._key_count += self._in_group
            self._arg_count += 2 * self._in_group
            self._terms, self._in_group = None, 0
