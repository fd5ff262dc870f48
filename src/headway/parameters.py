"""The names of a function's parameters, read from its code without running that."""

from __future__ import annotations

import ast
from importlib.util import find_spec
from pathlib import Path

_FUNCTION = (ast.FunctionDef, ast.AsyncFunctionDef)


def parameters(module_name: str, function: str) -> tuple[str, ...]:
    """Return the parameters that a call may fill by place; none where it is unknown.

    Only the packages that hold the module are imported.
    """
    try:
        spec = find_spec(module_name)
        code = Path(spec.origin).read_bytes() if spec and spec.origin else b""
        defined = ast.parse(code).body
    except Exception:  # noqa: BLE001 - whatever a package raises as it is imported
        return ()
    for each in defined:
        if isinstance(each, _FUNCTION) and each.name == function:
            places = [*each.args.posonlyargs, *each.args.args]
            names = [place.arg for place in places]
            return tuple(names[names[:1] == ["self"] :])  # no call passes a bound task
    return ()
