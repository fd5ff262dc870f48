"""Where the store is, so that each child makes connections of its own to it."""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from redis import ConnectionPool, Redis

from headway.errors import ConfigurationError
from headway.wire import client as wire_client

#: What a client gets anew, by how patient it is to be.
_PATIENCE = ("retry", "retry_on_error", "socket_timeout", "socket_connect_timeout")


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """What is needed to make a client like another."""

    pool_class: type[ConnectionPool]
    connection_class: type[Any]
    kwargs: Mapping[str, Any]

    @classmethod
    def of(cls, client: Redis) -> Address:
        """Return the address that a client uses."""
        pool = client.connection_pool
        known = pool.connection_kwargs.items()
        return cls(
            pool_class=type(pool),
            connection_class=pool.connection_class,
            kwargs={name: value for name, value in known if name not in _PATIENCE},
        )

    def connect(self) -> Redis:
        """Return a client that rides out a restart of the store."""
        made = self.pool_class(connection_class=self.connection_class, **self.kwargs)
        return wire_client.with_patience(Redis.from_pool(made), wire_client.WORKER)

    def portable(self) -> Address:
        """Return what another program can be told.

        Raises:
            ConfigurationError: something of it cannot be told, and what.
        """
        kwargs: dict[str, Any] = {}
        for name, value in self.kwargs.items():
            try:
                pickle.dumps(value)
            except (TypeError, AttributeError, pickle.PicklingError) as error:
                if _is_of_the_process(name, value):
                    continue
                raise ConfigurationError(
                    f"{name}={value!r} of the Redis connection cannot be handed to a "
                    "spawned child, which a queue with a device needs: name the "
                    "server by an address in REDIS_URL"
                ) from error
            kwargs[name] = value
        return Address(
            pool_class=self.pool_class,
            connection_class=self.connection_class,
            kwargs=kwargs,
        )


def _is_of_the_process(name: str, value: object) -> bool:
    """Tell whether redis-py makes it for each pool by itself."""
    own = type(value).__module__.startswith("redis.")
    return own and name != "credential_provider"
