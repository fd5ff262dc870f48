"""Everything Headway raises on purpose.

HeadwayError
├── ConfigurationError        the environment, queues.py or a definition is wrong
│   ├── UnknownQueueError     a queue that queues.py does not declare
│   ├── UnknownTaskError      no task of that name, or its module does not import
│   ├── CapabilityError       asked of an engine that cannot do it
│   └── MissingExtraError     an optional package is not installed
├── ArgumentError             an argument that cannot travel, or does not fit
├── EnqueueError              the store did not take the job, or may not have
├── StoreError                the store is away, or refuses what it is asked
├── DuplicateJobError         a unique job of that key is already there
├── JobNotFoundError          no such job, or its time to live is over
├── JobStateError             the job is not in a state that allows it
├── ScheduleNotFoundError     no schedule of that name
├── ResultTimeoutError        the job has not ended in the time given
├── JobFailedError            the job ended by raising; carries its traceback
├── TaskNotAllowedError       the worker refuses to import or run this name
├── UnreadableJobError        what is stored of the job is no job that can be run
│   └── UnsignedJobError      nobody who knows the secret has sent it so
├── LeaseLostError            another worker has the job now: this run cannot commit
├── TaskTimeoutError          the task ran longer than its timeout
├── JobKilledError            a person had the process killed that ran the job
├── JobCrashedError           the job has ended too many children
├── JobBrokenOffError         the job was broken off, and may not run twice
├── JobExpiredError           the job waited longer than its `expires`
├── ResultError               what the task returned cannot be written as JSON
├── ResourceError             a resource belongs to another process, or is empty
└── EmbeddedServerError       a development server did not start or answer

Interrupted                   raised into a task whose worker has to leave: it goes back
"""

from __future__ import annotations


class HeadwayError(Exception):
    """Catch this to catch whatever Headway raises on purpose."""


class ConfigurationError(HeadwayError):
    """Raised when settings, queues or a definition are wrong."""


class UnknownQueueError(ConfigurationError):
    """Raised when a queue is named that the application does not declare."""


class UnknownTaskError(ConfigurationError):
    """Raised when a task name leads to no function."""


class CapabilityError(ConfigurationError):
    """Raised when an engine is asked for what it cannot do."""


class MissingExtraError(ConfigurationError):
    """Raised when a feature needs an optional package that is not installed."""


class ArgumentError(HeadwayError):
    """Raised when an argument cannot travel, or does not fit its annotation."""


class EnqueueError(HeadwayError):
    """Raised when the store did not confirm a job; the message says what is known."""


class StoreError(HeadwayError):
    """Raised when the store of the jobs is away, or refuses what it is asked."""


class DuplicateJobError(HeadwayError):
    """Raised when a unique job is refused because another holds its key."""


class JobNotFoundError(HeadwayError):
    """Raised when a job does not exist, or its time to live is over."""


class ScheduleNotFoundError(HeadwayError):
    """Raised when no schedule has that name."""


class JobStateError(HeadwayError):
    """Raised when a job is not in a state that allows the request."""


class ResultTimeoutError(HeadwayError):
    """Raised when a job has not ended within the timeout of `Job.result`."""


class JobFailedError(HeadwayError):
    """Raised by `Job.result` when the job ended without a result."""

    def __init__(self, message: str, *, traceback: str = "") -> None:
        super().__init__(message)
        #: The traceback in the worker, as text.
        self.traceback = traceback


class TaskNotAllowedError(HeadwayError):
    """Raised in a worker when a job names a function that may not run."""


class UnreadableJobError(HeadwayError):
    """Raised in a worker when what is stored of a job cannot be read."""


class UnsignedJobError(UnreadableJobError):
    """Raised in a worker for a job that is not signed as `App(signed=True)` wants."""


class LeaseLostError(HeadwayError):
    """Raised in a worker when another has the job now: nothing of this run counts."""


class TaskTimeoutError(HeadwayError):
    """Raised in a task that has run longer than its timeout."""


class JobKilledError(HeadwayError):
    """Says of a failed job that a person had its process killed."""


class JobCrashedError(HeadwayError):
    """Says of a failed job that it has ended too many children."""


class JobBrokenOffError(HeadwayError):
    """Says of a failed job that it was broken off, and may not run again by itself."""


class JobExpiredError(HeadwayError):
    """Raised in a worker when a job waited longer than its `expires`."""


class ResultError(HeadwayError):
    """Raised in a worker when a returned value cannot be written as JSON."""


class ResourceError(HeadwayError):
    """Raised where a resource was opened before a fork, or yields nothing."""


class EmbeddedServerError(HeadwayError):
    """Raised when a development server does not start or answer."""


# Not an error, and no `except Exception` of a task's may keep it.
class Interrupted(BaseException):
    """Raised into a task whose worker leaves before the task has ended.

    The task may save its place (`current_job().checkpoint`) and is to raise it again;
    the job goes back to the front of its queue and spends no retry, or is failed where
    its task says `on_orphan="fail"`. An `async def` task gets asyncio's own
    CancelledError instead.
    """
