from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from headway.errors import HeadwayError

#: How long a page waits for a panel.
PATIENCE = 1.5

logger = logging.getLogger("headway.dashboard")


@dataclass(frozen=True, slots=True, kw_only=True)
class Fact:
    """A figure with its name, as `Fact(name="documents", value="61")`."""

    name: str
    value: str
    #: True draws it as something to look into.
    bad: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Panel:
    """What an application shows of itself on the front page."""

    title: str
    facts: tuple[Fact, ...] = ()
    #: When what it tells of happened.
    at: datetime | None = None
    note: str = ""


class Source:
    """Asks an application for its panel, and never makes the page wait for long.

    A database that is away may answer after many seconds. One question at a time is
    under way; until it is answered the page shows the answer before.
    """

    def __init__(self, ask: Callable[[], Panel | None]) -> None:
        self._ask = ask
        self._title = getattr(ask, "__name__", "panel").strip("_").replace("_", " ")
        self._latest: Panel | None = None
        self._asking: threading.Thread | None = None
        self._lock = threading.Lock()

    def panel(self) -> Panel | None:
        """Return the panel; one whose source raises says so in its place."""
        with self._lock:
            if self._asking is None or not self._asking.is_alive():
                # A daemon: a database that hangs must not keep the process alive.
                self._asking = threading.Thread(target=self._answer, daemon=True)
                self._asking.start()
            asking = self._asking
        asking.join(PATIENCE)
        if asking.is_alive() and self._latest is None:
            return self._note("no answer yet")
        return self._latest

    def _answer(self) -> None:
        try:
            self._latest = self._ask()
        except HeadwayError as error:
            self._latest = self._note(str(error))
        except Exception as error:
            logger.warning("a panel of the dashboard cannot be read", exc_info=True)
            note = f"cannot be read now ({type(error).__name__}); see the log"
            self._latest = self._note(note)

    def _note(self, note: str) -> Panel:
        return Panel(title=self._title.capitalize(), note=note)


def read_panels(sources: Sequence[Source]) -> list[Panel]:
    """Return what the sources have to show."""
    panels = [source.panel() for source in sources]
    return [panel for panel in panels if panel is not None]
