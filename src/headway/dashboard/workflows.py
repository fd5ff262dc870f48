"""Workflows: a page for the lists of them, one for each, and its buttons."""

from __future__ import annotations

from collections import Counter
from collections.abc import Generator
from contextlib import contextmanager
from typing import cast, get_args

from flask import Blueprint, abort, render_template, request, url_for
from redis.exceptions import RedisError
from werkzeug.exceptions import HTTPException
from werkzeug.wrappers import Response

from headway.dashboard.answer import said
from headway.errors import HeadwayError, JobNotFoundError, JobStateError
from headway.job import JobStatus
from headway.options import JOB_ID
from headway.workflows import NodeInfo, WorkflowKind, WorkflowStore

#: How many workflows the page has of each list, and the page of one list.
FEW, ROWS = 20, 100
#: The last page of a list that is looked for.
LAST = 1_000_000
#: How many nodes one page has.
NODES = 500
DONE = {
    "retry": "What failed or was canceled of it runs again.",
    "cancel": "Canceled: what has not begun will not run, and what runs is stopped.",
}


def workflow_pages(store: WorkflowStore) -> Blueprint:
    """Make the pages of workflows."""
    blueprint = Blueprint("workflows", __name__)

    @blueprint.get("/workflows")
    def every() -> str:
        kinds, only = get_args(WorkflowKind), request.args.get("kind")
        number = request.args.get("page", 1, int) if only in kinds else 1
        number = min(max(number, 1), LAST)
        rows = ROWS if only in kinds else FEW
        shown = (cast("WorkflowKind", only),) if only in kinds else kinds
        return render_template(
            "headway/workflows.html",
            lists={kind: store.page(kind, rows * (number - 1), rows) for kind in shown},
            number=number,
            rows=rows,
            is_whole=only in kinds,
        )

    @blueprint.get("/workflows/<workflow_id>")
    def one(workflow_id: str) -> str:
        with _readable(workflow_id):
            info = store.info(workflow_id)
            nodes = list(info.walk())
        status = request.args.get("status", "")
        chosen = [(0, node) for _, node in nodes if node.status == status]
        return render_template(
            "headway/workflow.html",
            workflow=info,
            counts=Counter(str(node.status) for node in info.nodes.values()),
            failed=info.nodes.get(info.failed_by),
            may_be_retried=info.has_ended
            and any(map(_has_failed, info.nodes.values())),
            status=status,
            nodes=(chosen if status else nodes)[:NODES],
            total=len(chosen if status else nodes),
        )

    @blueprint.post("/workflows/<workflow_id>/<any(retry, cancel):verb>")
    def press(workflow_id: str, verb: str) -> Response:
        with _readable(workflow_id):
            if verb == "retry":
                store.retry(workflow_id)
            elif not store.cancel(workflow_id):
                raise JobStateError(f"workflow {workflow_id} has ended")
        return said(DONE[verb], then=url_for(".one", workflow_id=workflow_id))

    return blueprint


def _has_failed(node: NodeInfo) -> bool:
    return not node.undoes and node.status is not JobStatus.FINISHED


@contextmanager
def _readable(workflow_id: str) -> Generator[None]:
    if not JOB_ID.fullmatch(workflow_id):
        abort(404, "No workflow has such an id.")
    try:
        yield
    except JobNotFoundError as error:
        abort(404, str(error))
    except (HeadwayError, HTTPException, RedisError):
        raise
    except Exception as error:
        raise JobStateError(
            f"the record of workflow {workflow_id} cannot be read ({error})"
        ) from error
