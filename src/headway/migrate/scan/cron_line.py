"""The line of cron that a call of another library's says, where it can be read off."""

from __future__ import annotations

import ast

_FIELDS = ("minute", "hour", "day_of_month", "month_of_year", "day_of_week")
#: Arq's words for them; without `second` it means the first of the minute.
_OF_ARQ = {
    "minute": "minute",
    "hour": "hour",
    "day": "day_of_month",
    "month": "month_of_year",
    "weekday": "its days begin with Monday",
    "second": "seconds",
    "?": "?",
}


def cron_line(call: ast.AST, *, by_arq: bool = False) -> str:
    """Return it; "..." where a person has to see to it."""
    if not isinstance(call, ast.Call):
        return "..."
    # Releases of Celery have the days in unlike places.
    given = [] if by_arq else [*zip(("minute", "hour", "?"), call.args, strict=False)]
    for each in call.keywords:
        name = each.arg or "?"
        given += [(_OF_ARQ.get(name, "") if by_arq else name, each.value)]
    said = {name: _word(value) for name, value in given if name}
    if said.get("seconds") == "0":
        del said["seconds"]
    both = {"day_of_month", "day_of_week"} <= said.keys()
    if both or said.keys() - {*_FIELDS} or "" in said.values():
        return "..."
    return " ".join(said.get(name, "*") for name in _FIELDS)


def _word(node: ast.expr) -> str:
    """Return a field; nothing where it is not written out."""
    try:
        found: object = ast.literal_eval(node)
    except (ValueError, TypeError):
        return ""
    if found is None:
        return "*"
    parts = found if isinstance(found, set | list | tuple) else [found]
    if not all(type(each) in {int, str} for each in parts):
        return ""
    words = ("".join(str(each).split()) for each in parts)
    return ",".join(sorted(words, key=lambda word: (len(word), word)))
