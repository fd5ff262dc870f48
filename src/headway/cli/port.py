from __future__ import annotations

import socket


def why_taken(host: str, port: int) -> str | None:
    """Return why nothing can listen there, as the system says it; None: it can."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            return error.strerror or str(error)
    return None
