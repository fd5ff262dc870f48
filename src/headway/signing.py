"""Jobs that only somebody with the secret can have sent.

Whoever reaches Redis can write a job, and have a worker call any task with any
arguments. A signature over a job's id and its call (HMAC-SHA256, RFC 2104) says that
its sender knows HEADWAY_SECRET. It does not keep anybody from running a signed job
twice, or in another queue.
"""

from __future__ import annotations

import hashlib
import hmac

from headway.errors import ConfigurationError, UnsignedJobError

#: A shorter secret could be found by trying.
SECRET_LENGTH = 16
RECIPE = 'python -c "import secrets; print(secrets.token_urlsafe(32))"'


class Signer:
    """Signs jobs, and refuses those that are not signed."""

    def __init__(self, secret: str | None) -> None:
        """Derive a key of its own from the secret, which the dashboard has as well.

        Raises:
            ConfigurationError: there is none, or it is too short.
        """
        if not secret or len(secret) < SECRET_LENGTH:
            raise ConfigurationError(
                "App(signed=...) needs HEADWAY_SECRET in the environment, the same for "
                f"all who send and work, of {SECRET_LENGTH} characters or more. Make "
                f"one with {RECIPE}"
            )
        self._key = hmac.digest(secret.encode(), b"headway: jobs", hashlib.sha256)

    def sign(self, job_id: str, call: bytes) -> str:
        """Return the signature of a call, as its payload is before compression."""
        signed = b"%b\n%b" % (job_id.encode(), call)
        return hmac.digest(self._key, signed, hashlib.sha256).hex()

    def check(self, job_id: str, call: bytes, signature: object) -> None:
        """Refuse a call that is not signed.

        Raises:
            UnsignedJobError: it has no signature, or that of another call.
        """
        if not isinstance(signature, str):
            raise UnsignedJobError(
                f"job {job_id} is not signed, and this application runs signed jobs "
                "only: send it with Headway and App(signed=True), and the worker's own "
                "HEADWAY_SECRET"
            )
        if not hmac.compare_digest(self.sign(job_id, call), signature):
            raise UnsignedJobError(
                f"job {job_id} is not what its sender signed: it was changed, or its "
                "sender has another HEADWAY_SECRET than this worker"
            )
