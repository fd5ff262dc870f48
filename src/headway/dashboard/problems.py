"""What a visitor reads when a page cannot be shown: one sentence, never a traceback."""

from __future__ import annotations

import logging

from flask import Flask, jsonify, make_response, render_template, request
from redis.exceptions import AuthenticationError, RedisError, ResponseError
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError
from werkzeug.exceptions import HTTPException
from werkzeug.wrappers import Response

from headway.dashboard.guard import SAFE_METHODS
from headway.dashboard.sign_in import wants_json
from headway.errors import (
    ConfigurationError,
    EnqueueError,
    HeadwayError,
    JobNotFoundError,
    JobStateError,
    ScheduleNotFoundError,
    StoreError,
    TaskNotAllowedError,
)

logger = logging.getLogger("headway.dashboard")


def explain_problems(app: Flask) -> None:
    """Answer every kind of failure with a page, or with JSON where a script asks."""
    app.register_error_handler(HTTPException, _refused)
    app.register_error_handler(RedisError, _no_redis)
    app.register_error_handler(StoreError, _no_store)
    app.register_error_handler(EnqueueError, _not_confirmed)
    app.register_error_handler(JobNotFoundError, _not_found)
    app.register_error_handler(ScheduleNotFoundError, _no_schedule)
    app.register_error_handler(TaskNotAllowedError, _conflict)
    app.register_error_handler(JobStateError, _conflict)
    app.register_error_handler(ConfigurationError, _conflict)
    app.register_error_handler(Exception, _broken)


def away(error: RedisError) -> str:
    """Say why Redis cannot be used; addresses and passwords stay in the log."""
    match error:
        case AuthenticationError():
            return "Redis refuses the user name or password of the dashboard."
        case RedisTimeoutError():
            return "Redis does not answer in time."
        case RedisConnectionError():
            return "Redis cannot be reached: no connection to its server."
        case _:
            return f"Redis refuses what the dashboard asks ({type(error).__name__})."


def _refused(error: HTTPException) -> Response:
    code = error.code or 500
    if code < 400:  # noqa: PLR2004 - a redirect is no problem
        return error.get_response()
    response = _answer(code, error.name, _sentence(error.description or ""))
    for name, value in error.get_headers():
        if name in {"Allow", "Retry-After"}:
            response.headers[name] = value
    return response


def _no_redis(error: RedisError) -> Response:
    if request.method not in SAFE_METHODS:
        return _away(error, "It may be done all the same: look before you press again.")
    text = "Jobs are where they were; this page tries again by itself."
    response = _away(error, text)
    response.headers["Retry-After"] = "3"
    return response


def _no_store(error: StoreError) -> Response:
    return _no_redis(_of_redis(error))


def _not_confirmed(error: EnqueueError) -> Response:
    cause = _of_redis(error)
    if isinstance(cause, ResponseError | AuthenticationError):
        return _away(cause, "The job was not sent.")
    look = "look at its queue before you press again"
    return _away(cause, f"The job may be sent all the same: {look}.")


def _away(error: RedisError, text: str) -> Response:
    logger.warning("redis cannot be used by the dashboard: %s", error)
    return _answer(503, "Redis is away", f"{away(error)} {text}")


def _of_redis(error: HeadwayError) -> RedisError:
    cause = error.__cause__
    return cause if isinstance(cause, RedisError) else RedisError(error)


def _not_found(error: JobNotFoundError) -> Response:
    return _answer(404, "No such job", _sentence(error))


def _no_schedule(error: ScheduleNotFoundError) -> Response:
    return _answer(404, "No such schedule", _sentence(error))


def _conflict(error: Exception) -> Response:
    return _answer(409, "Not possible now", _sentence(error))


def _broken(error: Exception) -> Response:
    logger.error("a page of the dashboard failed: %s", request.path, exc_info=error)
    text = "The dashboard failed to make this page; its log has the details."
    return _answer(500, "Something broke", text)


def _sentence(error: Exception | str) -> str:
    words = str(error)
    return words[:1].upper() + words[1:]


def _answer(status: int, title: str, text: str) -> Response:
    if wants_json():
        return make_response(jsonify(status="ERROR", title=title, message=text), status)
    page = render_template(
        "headway/problem.html", status=status, heading=title, text=text
    )
    return make_response(page, status)
