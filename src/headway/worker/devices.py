"""The GPUs that a worker may use, found without CUDA.

CUDA itself is never asked: whoever has asked it cannot fork any more, and the
supervisor forks. NVML and `nvidia-smi` number the devices by their place on the bus,
which CUDA does only where CUDA_DEVICE_ORDER says so: see `claims`.
"""

from __future__ import annotations

import importlib
import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from headway.errors import ConfigurationError
from headway.settings import Settings

_GPU = re.compile(r"GPU (\d+): .*\(UUID: (GPU-[\w-]+)\)")
_PART = re.compile(r"\s+MIG .*\(UUID: (MIG-[\w/-]+)\)")
_PATIENCE = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Device:
    """A GPU, or a part of one that MIG has cut."""

    #: What CUDA_VISIBLE_DEVICES calls it: a number, or a UUID.
    name: str
    #: None where it was only named, and nobody has looked.
    uuid: str | None = None

    @property
    def names(self) -> frozenset[str]:
        """Return all that it may be called, by this worker or another."""
        return frozenset({self.name, self.uuid or self.name})


def visible(settings: Settings, *, queue: str) -> tuple[Device, ...]:
    """Return the devices for that queue: those named, those given, or all there are.

    Raises:
        ConfigurationError: there is none; says what was tried, and the way out.
    """
    if settings.devices is not None:
        return _named(settings.devices)
    tried: list[str] = []
    if settings.cuda_visible_devices is not None:
        if given := _given(settings.cuda_visible_devices):
            return given
        tried.append(
            f"CUDA_VISIBLE_DEVICES={settings.cuda_visible_devices!r} hides all"
        )
    else:
        for ask in (_ask_nvml, _ask_nvidia_smi):
            try:
                return ask()
            except LookupError as error:
                tried.append(str(error))
    raise ConfigurationError(
        f'Queue({queue!r}, device="cuda") needs a GPU, and none was found '
        f"({'; '.join(tried)}): serve it where there is one, or name the devices, as "
        "HEADWAY_DEVICES=0"
    )


def _named(names: tuple[str, ...]) -> tuple[Device, ...]:
    return tuple(Device(name=name) for name in names)


def _given(written: str) -> tuple[Device, ...]:
    """Read as CUDA does: what follows the first wrong name is not there."""
    names: list[str] = []
    for name in map(str.strip, written.split(",")):
        if not re.fullmatch(r"\d+|(GPU|MIG)-.+", name):
            break
        names.append(name)
    return _named(tuple(dict.fromkeys(names)))


def _ask_nvml() -> tuple[Device, ...]:
    try:
        nvml: Any = importlib.import_module("pynvml")
    except ImportError as error:
        raise LookupError("NVML: `headway[gpu]` is not installed") from error
    try:
        nvml.nvmlInit()
        try:
            found = tuple(_listed_by(nvml))
        finally:
            nvml.nvmlShutdown()
    except nvml.NVMLError as error:
        raise LookupError(f"NVML: {error}") from error
    if not found:
        raise LookupError("NVML knows of no device")
    return found


def _listed_by(nvml: Any) -> Iterator[Device]:  # noqa: ANN401 - it has no types
    for number in range(nvml.nvmlDeviceGetCount()):
        gpu = nvml.nvmlDeviceGetHandleByIndex(number)
        if _is_cut(nvml, gpu):
            for part in _parts(nvml, gpu):
                yield Device(name=part, uuid=part)
        else:
            yield Device(name=str(number), uuid=nvml.nvmlDeviceGetUUID(gpu))


def _is_cut(nvml: Any, gpu: object) -> bool:  # noqa: ANN401
    try:
        now, _ = nvml.nvmlDeviceGetMigMode(gpu)
    except nvml.NVMLError_NotSupported:
        return False
    return bool(now == nvml.NVML_DEVICE_MIG_ENABLE)


def _parts(nvml: Any, gpu: object) -> Iterator[str]:  # noqa: ANN401
    for place in range(nvml.nvmlDeviceGetMaxMigDeviceCount(gpu)):
        try:
            part = nvml.nvmlDeviceGetMigDeviceHandleByIndex(gpu, place)
        except nvml.NVMLError_NotFound:
            continue
        yield nvml.nvmlDeviceGetUUID(part)


def _ask_nvidia_smi() -> tuple[Device, ...]:
    program = shutil.which("nvidia-smi")
    if program is None:
        raise LookupError("nvidia-smi: not on the PATH")
    try:
        listed = subprocess.run(
            [program, "-L"],
            capture_output=True,
            text=True,
            timeout=_PATIENCE,
            check=True,
        ).stdout
    except subprocess.CalledProcessError as error:
        said = (error.stdout + error.stderr).strip().partition("\n")[0]
        raise LookupError(f"nvidia-smi: {said or error}") from error
    except (OSError, subprocess.TimeoutExpired) as error:
        raise LookupError(f"nvidia-smi: {error}") from error
    if not (found := tuple(_read_list(listed))):
        raise LookupError("nvidia-smi knows of no device")
    return found


def _read_list(listed: str) -> Iterator[Device]:
    """Read `nvidia-smi -L`, where the parts of a GPU follow it, indented."""
    gpu: Device | None = None
    for line in listed.splitlines():
        if part := _PART.match(line):
            yield Device(name=part[1], uuid=part[1])
            gpu = None
        elif whole := _GPU.match(line):
            if gpu:
                yield gpu
            gpu = Device(name=whole[1], uuid=whole[2])
    if gpu:
        yield gpu
