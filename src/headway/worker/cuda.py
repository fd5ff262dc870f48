"""Tells errors that leave a process's GPU unusable from those that do not.

After a kernel has failed, CUDA answers every later call of the process with the same
error; after running out of memory, what earlier jobs left behind stays allocated.
Only a new process helps. No library of the GPU is imported for this: the errors are
known by the names of their classes, and by what the drivers say.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

#: Packages whose error of that name means that the device's memory is used up.
_LIBRARIES = frozenset(
    {"cupy", "cupy_backends", "jaxlib", "numba", "pycuda", "rmm", "tensorflow", "torch"}
)
_OUT_OF_MEMORY = frozenset(
    {"MemoryError", "OutOfMemoryError", "ResourceExhaustedError"}
)

_SAID = re.compile(
    r"CUDA (driver )?error|CUDA out of memory|CUDA failure|CUDA failed with"
    r"|cudaError[A-Z]|CUDA_ERROR_|CU(BLAS|DNN|FFT|SOLVER|SPARSE)_STATUS_"
    r"|device-side assert|illegal memory access"
    r"|RESOURCE_EXHAUSTED: Out of memory",
    re.IGNORECASE,
)


def is_poisoned(error: BaseException) -> bool:
    """Tell whether the process should be replaced before it runs another job."""
    return any(map(_is_of_the_device, _with_causes(error)))


def _is_of_the_device(error: BaseException) -> bool:
    kinds = type(error).__mro__
    used_up = any(
        kind.__name__ in _OUT_OF_MEMORY
        and kind.__module__.partition(".")[0] in _LIBRARIES
        for kind in kinds
    )
    return used_up or _SAID.search(str(error)) is not None


def _with_causes(error: BaseException) -> Iterator[BaseException]:
    """Follow also what `raise ... from None` hides: the device remembers it."""
    waiting, seen = [error], set[int]()
    while waiting:
        current = waiting.pop()
        if id(current) in seen:
            continue
        seen.add(id(current))
        yield current
        waiting += filter(None, (current.__cause__, current.__context__))
        if isinstance(current, BaseExceptionGroup):
            waiting += current.exceptions
