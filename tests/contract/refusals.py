"""What an engine cannot do it refuses: a test that needs a flag holds that it does."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from headway.backend import Capability
from headway.backends import capabilities
from headway.errors import CapabilityError
from tests.contract.engines import Engine
from tests.contract.matrix import ASKED_BY

#: What no call asks for: that it is missing is told by the flags alone.
NEVER_ASKED_FOR = frozenset(
    {Capability.HARD_TIMEOUT, Capability.QUEUE_ORDER, Capability.RECOVERY}
)


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    """Where an engine lacks what a test needs, hold that it refuses that."""
    missing = next(_missing(pyfuncitem), None)
    if missing is None:
        return None
    pyfuncitem.user_properties.append(("refused", missing.name))
    with pytest.raises(CapabilityError, match=missing.value):
        _ask(pyfuncitem, missing)
    return True


def _missing(item: pytest.Function) -> Iterator[Capability]:
    for mark in item.iter_markers("needs"):
        can = _engine(item).app.backend().capabilities
        yield from (flag for flag in mark.args if flag not in can)


def _ask(item: pytest.Function, missing: Capability) -> None:
    if missing in NEVER_ASKED_FOR:
        app = _engine(item).app
        can = app.backend().capabilities
        capabilities.refuse(item.name, missing, app.engine, can)
    else:
        wanted = item._fixtureinfo.argnames
        item.obj(**{name: item.funcargs[name] for name in wanted})


def _engine(item: pytest.Function) -> Engine:
    return next(item.funcargs[name] for name in ASKED_BY if name in item.funcargs)
