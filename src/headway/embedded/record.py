"""What runs in a data folder: the file by which other processes find servers."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from headway.embedded.folder import write_private
from headway.embedded.lock import is_locked, locked
from headway.embedded.process import born


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One server, as its keeper last wrote it down."""

    #: Kept after a stop: the next start takes the same port when it is free.
    port: int
    #: The process of the server, and when that process started.
    pid: int = 0
    born: str | None = None
    #: The process that restarts it.
    keeper: int = 0
    #: The process that owns the keeper, and when that process started.
    owner: int = 0
    owner_born: str | None = None
    #: Up, or on its way back up; False from the moment that its stop begins.
    serving: bool = False
    #: What an application sets to use it.
    environment: dict[str, str] = field(default_factory=dict[str, str])

    def is_owned(self) -> bool:
        """Tell whether the process that owns the keeper lives."""
        return self.owner_born is not None and born(self.owner) == self.owner_born


@dataclass(frozen=True, slots=True)
class Record:
    """The record of one data folder, shared by all its keepers and readers."""

    data: Path

    def read(self) -> dict[str, Entry]:
        """Return the entries; none when nothing readable was written yet."""
        try:
            written = (self.data / "services.json").read_bytes()
            return msgspec.json.decode(written, type=dict[str, Entry])
        except (OSError, msgspec.DecodeError):
            return {}

    def change(self, name: str, change: Callable[[Entry | None], Entry]) -> None:
        """Replace one entry by what `change` makes of it, whoever else writes.

        Raises:
            EmbeddedServerError: when another process keeps the record locked.
            OSError: when the folder cannot be written.
        """
        with locked(self.data / "record.lock", seconds=10):
            entries = self.read()
            entries[name] = change(entries.get(name))
            text = msgspec.json.format(msgspec.json.encode(entries)).decode()
            write_private(self.data / "services.json", text + "\n")

    def lock(self, name: str) -> Path:
        """Return the file that the keeper of that server holds locked."""
        return self.data / f"{name}.lock"

    def is_kept(self, name: str) -> bool:
        """Tell whether a keeper lives for that server."""
        return is_locked(self.lock(name))

    def serving(self) -> dict[str, Entry]:
        """Return the entries of servers that a keeper keeps up for a living owner.

        The death of an owner reaches its keeper a moment later, and who came in
        that moment would be given servers that are about to stop.
        """
        return {
            name: entry
            for name, entry in self.read().items()
            if entry.serving and entry.is_owned() and self.is_kept(name)
        }

    def were_left(self, names: AbstractSet[str]) -> bool:
        """Tell whether one of those is kept by nobody, and its owner is gone.

        A living owner starts a killed keeper again by itself, and may have ended
        one for good.
        """
        return any(
            not entry.is_owned() and not self.is_kept(name)
            for name, entry in self.read().items()
            if name in names
        )
