"""Which worker has which GPU of this machine.

A claim is a file, and stands as long as some process holds its lock: the kernel
frees it however the holder ends, and nobody has to believe a process id. The file
says what is claimed, so that shares of one device add up whatever their sizes, and a
device known by two names is one device. A single lock, the door, is held for the
moment in which claims are read and made.
"""

from __future__ import annotations

import fcntl
import json
import os
import stat
import tempfile
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from headway.errors import ConfigurationError
from headway.worker.devices import Device

#: What three thirds may be short of, or beyond, one whole.
_ROUNDING = 1e-6


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """A device, or a share of it, that no other worker of this user has."""

    device: Device
    share: float
    #: What the kernel frees when the last process that has it is gone.
    lock: IO[str] = field(repr=False, compare=False)

    @property
    def environment(self) -> dict[str, str]:
        """Return what a child must be started with: CUDA reads it once, early."""
        return {
            "CUDA_VISIBLE_DEVICES": self.device.name,
            "CUDA_DEVICE_ORDER": "PCI_BUS_ID",
            "HEADWAY_DEVICE": self.device.name,
        }

    def fileno(self) -> int:
        """Return the lock, to pass on: a child that has it keeps the claim alive."""
        return self.lock.fileno()

    def close(self) -> None:
        """Give the device up; it is free once no child has the lock either."""
        self.lock.close()


@dataclass(frozen=True, slots=True, kw_only=True)
class Holder:
    """What a claim's file says."""

    pid: int
    names: frozenset[str]
    share: float


def claim(
    wanted: Sequence[Device],
    *,
    share: float = 1.0,
    most: int | None = None,
    folder: Path | None = None,
) -> list[Claim]:
    """Take what is free of these devices, spread over them before doubling up.

    Raises:
        ConfigurationError: the share is not one, all is taken (naming by whom), or
            the folder of the claims cannot be used.
    """
    if not 0 < share <= 1:
        raise ConfigurationError(
            f"--gpu-share {share:g}: expected more than 0 and at most 1, as 0.5 for "
            "two children on each device"
        )
    try:
        folder = folder or _own_folder()
        with _door(folder):
            holders = list(_holders(folder))
            free = _free(wanted, holders, share)[:most]
            claims = [_take(folder, device, share) for device in free]
    except OSError as error:
        raise ConfigurationError(
            f"{folder or tempfile.gettempdir()} cannot hold the claims on GPUs "
            f"({error}): set TMPDIR to a folder that you may write"
        ) from error
    if not claims:
        raise ConfigurationError(_all_taken(wanted, holders, share))
    return claims


def _free(
    wanted: Sequence[Device], holders: Sequence[Holder], share: float
) -> list[Device]:
    used = {
        device: sum(each.share for each in holders if each.names & device.names)
        for device in wanted
    }
    found: list[Device] = []
    for _ in range(int(1 / share + _ROUNDING)):
        for device in sorted(wanted, key=used.__getitem__):
            if used[device] + share <= 1 + _ROUNDING:
                used[device] += share
                found.append(device)
    return found


def _all_taken(
    wanted: Sequence[Device], holders: Sequence[Holder], share: float
) -> str:
    by_whom = ", ".join(
        f"{device.name} by process {holder.pid} (share {holder.share:g})"
        for device in wanted
        for holder in holders
        if holder.names & device.names
    )
    return (
        f"no GPU has {share:g} of it left: {by_whom}. End that worker, or have each "
        "take less with --gpu-share, or name other devices with HEADWAY_DEVICES"
    )


def _own_folder() -> Path:
    """Return the folder of this user's claims, refusing one that another has made."""
    folder = Path(tempfile.gettempdir()) / f"headway-devices-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid():
        raise PermissionError(f"{folder} belongs to another user")
    return folder


@contextmanager
def _door(folder: Path) -> Generator[None]:
    with (folder / "door").open("w", encoding="ascii") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _holders(folder: Path) -> Iterator[Holder]:
    for path in folder.glob("*.json"):
        with path.open(encoding="utf-8") as file:
            if _lock(file, fcntl.LOCK_SH):
                path.unlink()  # nobody has it any more
                continue
            said = json.load(file)
        yield Holder(
            pid=said["pid"], names=frozenset(said["names"]), share=said["share"]
        )


def _take(folder: Path, device: Device, share: float) -> Claim:
    descriptor, _ = tempfile.mkstemp(suffix=".json", dir=folder)
    file = os.fdopen(descriptor, "w", encoding="utf-8")
    _lock(file, fcntl.LOCK_EX)
    said = {"pid": os.getpid(), "names": sorted(device.names), "share": share}
    json.dump(said, file)
    file.flush()
    return Claim(device=device, share=share, lock=file)


def _lock(file: IO[str], kind: int) -> bool:
    try:
        fcntl.flock(file, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
