"""Ask a language model at any OpenAI-compatible endpoint, with the standard library.

`OPENAI_BASE_URL` and `OPENAI_API_KEY` say where; `OPENAI_MODEL` says which.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, field
from http import HTTPStatus
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit
from urllib.request import Request, urlopen

from headway.errors import ConfigurationError, HeadwayError

PATIENCE = 60.0
LONGEST_ANSWER = 4 << 20
MODEL = "gpt-4o-mini"
NAMES = ("OPENAI_BASE_URL", "OPENAI_API_KEY")


class ChatError(HeadwayError):
    """Raised when the endpoint refuses, or answers what is no answer."""


class BusyError(ChatError):
    """Raised when the endpoint is away or asks to come back later: worth a retry."""

    def __init__(self, message: str, *, retry_after: str | None = None) -> None:
        super().__init__(message)
        #: The header of that name, as it came; a `Retry` reads it and keeps to it.
        self.retry_after = retry_after


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """Where a language model is asked."""

    url: str
    key: str = field(repr=False)
    model: str

    @property
    def name(self) -> str:
        """Who answers, for people."""
        return f"{self.model} at {urlsplit(self.url).netloc}"


def endpoint() -> Endpoint | None:
    """Return the endpoint that the environment names, or None where it names none.

    Raises:
        ConfigurationError: where the address is none.
    """
    url, key = (os.environ.get(name, "") for name in NAMES)
    if not (url and key):
        return None
    if urlsplit(url).scheme not in ("http", "https"):
        raise ConfigurationError(
            f"OPENAI_BASE_URL={url!r}: expected an address like https://host/v1"
        )
    model = os.environ.get("OPENAI_MODEL") or MODEL
    return Endpoint(url=url.rstrip("/"), key=key, model=model)


def ask(where: Endpoint, system: str, question: str) -> str:
    """Return the model's answer.

    Raises:
        BusyError: it is away, or asks to come back later.
        ChatError: it refuses, or its answer cannot be read.
    """
    body = json.dumps({
        "model": where.model,
        "temperature": 0,
        "messages": [
            {"role": "system", "content": system},
            {"role": "user", "content": question},
        ],
    })  # fmt: skip
    request = Request(  # noqa: S310 - `endpoint` lets only http and https pass
        f"{where.url}/chat/completions",
        data=body.encode(),
        headers={
            "Authorization": f"Bearer {where.key}",
            "Content-Type": "application/json",
        },
    )
    return _answer(where, _content(where, request))


def _content(where: Endpoint, request: Request) -> bytes:
    try:
        with urlopen(request, timeout=PATIENCE) as response:  # noqa: S310 - see `ask`
            return bytes(response.read(LONGEST_ANSWER))
    except HTTPError as error:
        with error:
            raise _refusal(where, error) from error
    except (URLError, TimeoutError, ConnectionError) as error:
        raise BusyError(f"{where.name}: does not answer ({error})") from error


def _refusal(where: Endpoint, error: HTTPError) -> ChatError:
    busy = error.code >= HTTPStatus.INTERNAL_SERVER_ERROR or error.code in (
        HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.REQUEST_TIMEOUT,
    )  # fmt: skip
    if busy:
        wait = error.headers.get("Retry-After")
        return BusyError(f"{where.name}: {error.code} {error.reason}", retry_after=wait)
    said = error.read(500).decode("utf-8", "replace")
    hint = "check OPENAI_API_KEY, OPENAI_MODEL and OPENAI_BASE_URL"
    return ChatError(f"{where.name}: {error.code} {error.reason}: {said!r}; {hint}")


def _answer(where: Endpoint, content: bytes) -> str:
    try:
        answer = json.loads(content)["choices"][0]["message"]["content"]
    except (ValueError, LookupError, TypeError) as error:
        raise ChatError(
            f"{where.name}: answered what is no chat completion: {content[:200]!r}"
        ) from error
    return str(answer)
