"""Which errors cost a child its GPU; the classes are named as the libraries' own."""

from __future__ import annotations

import pytest

from headway.worker.cuda import is_poisoned


def error_of(module, name, message="", base=RuntimeError):
    return type(name, (base,), {"__module__": module})(message)


def raised(error, *, cause=None, context=None):
    error.__cause__, error.__context__ = cause, context
    return error


OUT_OF_MEMORY = RuntimeError("CUDA out of memory. Tried to allocate 20.00 MiB")


class Wrapped(error_of("torch", "OutOfMemoryError").__class__):
    """An application's own kind of torch's error."""


@pytest.mark.parametrize(
    "error",
    [
        error_of("torch", "OutOfMemoryError"),
        error_of("torch.cuda", "OutOfMemoryError", "tried to allocate 2 GiB"),
        error_of("cupy.cuda.memory", "OutOfMemoryError", "Out of memory allocating 8"),
        error_of("tensorflow.python.framework.errors_impl", "ResourceExhaustedError"),
        error_of("pycuda._driver", "MemoryError"),
        Wrapped("3"),
        error_of("torch", "AcceleratorError", "CUDA error: unspecified launch failure"),
        error_of(
            "cupy_backends.cuda.api.runtime",
            "CUDARuntimeError",
            "cudaErrorIllegalAddress: an illegal memory access was encountered",
        ),
        error_of(
            "numba.cuda.cudadrv.driver",
            "CudaAPIError",
            "[700] Call to cuMemcpyDtoH results in CUDA_ERROR_ILLEGAL_ADDRESS",
        ),
        error_of(
            "jaxlib.xla_extension",
            "XlaRuntimeError",
            "RESOURCE_EXHAUSTED: Out of memory while trying to allocate 9 bytes",
        ),
        OUT_OF_MEMORY,
        RuntimeError("CUDA error: device-side assert triggered"),
        RuntimeError("CUDA driver error: unknown error"),
        RuntimeError("CUDA failed with error out of memory"),
        RuntimeError("cuDNN error: CUDNN_STATUS_EXECUTION_FAILED"),
        RuntimeError(
            "CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling cublasCreate"
        ),
        Exception("CUDA failure 2: out of memory ; GPU=0"),
        raised(ValueError("no answer"), cause=OUT_OF_MEMORY),
        raised(ValueError("no answer"), context=OUT_OF_MEMORY),
        raised(ValueError(), context=raised(KeyError(), cause=OUT_OF_MEMORY)),
        ExceptionGroup("several", [ValueError(), OUT_OF_MEMORY]),
    ],
    ids=repr,
)
def test_a_child_whose_gpu_is_of_no_more_use_is_known(error):
    assert is_poisoned(error)


@pytest.mark.parametrize(
    "error",
    [
        ValueError("no such model"),
        MemoryError(),
        error_of("shop.errors", "OutOfMemoryError", "the shop is full"),
        RuntimeError("Found no NVIDIA driver on your system"),
        RuntimeError("No CUDA GPUs are available"),
        RuntimeError("Torch not compiled with CUDA enabled"),
        RuntimeError("Expected all tensors to be on the same device, cuda:0 and cpu"),
        SystemExit(1),
        ExceptionGroup("several", [ValueError(), KeyError()]),
    ],
    ids=repr,
)
def test_other_errors_cost_no_child(error):
    assert not is_poisoned(error)


def test_an_error_that_is_its_own_cause_is_looked_at_once():
    first, second = ValueError(), KeyError()
    raised(first, cause=second)
    raised(second, cause=first)
    assert not is_poisoned(first)
