"""What a caller hears when Redis is away, or refuses: one error, whoever asked."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property, wraps
from typing import TYPE_CHECKING, Concatenate, ParamSpec, TypeVar

from redis.exceptions import AuthenticationError, RedisError
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError

from headway.errors import StoreError
from headway.wire.server import CLUSTER_ERRORS, IN_A_CLUSTER

if TYPE_CHECKING:
    from redis import Redis

P = ParamSpec("P")
R = TypeVar("R")


class Asker:
    """Whoever asks Redis through a client, which is made when it is first needed."""

    def __init__(self, connect: Callable[[], Redis]) -> None:
        self._connect = connect

    @cached_property
    def client(self) -> Redis:
        """The client."""
        return self._connect()


A = TypeVar("A", bound=Asker)


def explained(
    ask: Callable[Concatenate[A, P], R],
) -> Callable[Concatenate[A, P], R]:
    """Make a method raise `StoreError` for whatever Redis does not do."""

    @wraps(ask)
    def asked(asker: A, /, *args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return ask(asker, *args, **kwargs)
        except RedisError as error:
            raise store_error(asker.client, error) from error

    return asked


def store_error(client: Redis, error: RedisError) -> StoreError:
    """Say which Redis does not do as asked, why, and what can be done."""
    where, why = f"Redis at {address(client)}", str(error).rstrip(".")
    match error:
        case AuthenticationError():
            return StoreError(f"{where} refuses the sign-in: {why}: correct REDIS_URL")
        case RedisConnectionError() | RedisTimeoutError():
            return StoreError(
                f"{where} does not answer: {why}. Start it, or name another in "
                "REDIS_URL; its jobs are where they were"
            )
        case _ if isinstance(error, CLUSTER_ERRORS):
            return StoreError(f"{where}: {IN_A_CLUSTER}")
        case _:
            return StoreError(
                f"{where} refuses what it was asked: {why}; its log may say more"
            )


def address(client: Redis) -> str:
    """Return where a client's Redis is, without user and password."""
    given = client.get_connection_kwargs()
    place = given.get("path") or f"{given.get('host')}:{given.get('port', 6379)}"
    return f"{place}/{given.get('db') or 0}"


#: By a word of what Redis or the system says: what its reader can do.
_MENDS = {
    "maxmemory": "Its memory is full: raise maxmemory, or delete what is not needed",
    "read only": "It is a replica: name the primary in REDIS_URL",
    "Authentication required": "Put the password into REDIS_URL, as redis://:password@host",
    "password": "Correct the password in REDIS_URL",
    "no permissions": "Its user may not do that: see ACL GETUSER",
    "MISCONF": "It cannot write to its disk: see its log",
    "loading": "It reads its data after a start: try again soon",
    "refused": "Nothing listens there: start it, or correct REDIS_URL",
    "not known": "There is no such host: correct REDIS_URL",
    "name resolution": "There is no such host: correct REDIS_URL",
}


def way_out(why: str) -> str:
    """Return what mends it, by what Redis or the system said."""
    found = [mend for word, mend in _MENDS.items() if word in why]
    return found[0] if found else "Is it up, and is REDIS_URL right?"
