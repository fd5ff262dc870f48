"""The same application, watched by Sentry and OpenTelemetry as their pages say.

What they would send goes to a file, a line each.
"""

from __future__ import annotations

import contextlib
import json
import os
from pathlib import Path

import sentry_sdk
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import (
    SimpleSpanProcessor,
    SpanExporter,
    SpanExportResult,
)
from opentelemetry_instrumentation_rq import RQInstrumentor
from sentry_sdk.integrations.rq import RqIntegration
from sentry_sdk.transport import Transport
from wrapt import PathResolutionError

from headway import App, Queue

HEARD = Path(os.environ["PARITY_HEARD"])
WATCHED = os.environ["PARITY_WATCHED"].split()


def note(**said):
    with HEARD.open("a") as file:
        file.write(json.dumps(said) + "\n")


class ToFile(Transport):
    def capture_envelope(self, envelope):
        for item in envelope.items:
            event = item.payload.json or {}
            note(
                by="sentry",
                kind=item.type,
                transaction=event.get("transaction"),
                errors=[
                    f"{one['type']}: {one['value']}"
                    for one in event.get("exception", {}).get("values", [])
                ],
                job=event.get("extra", {}).get("rq-job", {}).get("job_id"),
            )


class SpansToFile(SpanExporter):
    def export(self, spans):
        for span in spans:
            note(
                by="opentelemetry",
                span=span.name,
                kind=span.kind.name,
                status=span.status.status_code.name,
            )
        return SpanExportResult.SUCCESS


if "sentry" in WATCHED:
    sentry_sdk.init(
        dsn="http://key@127.0.0.1:9/1",
        transport=ToFile,
        traces_sample_rate=1.0,
        default_integrations=False,
        integrations=[RqIntegration()],
    )
if "opentelemetry" in WATCHED:
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(SpansToFile()))
    trace.set_tracer_provider(provider)
    # Its release for older RQs replaces what rq 3.0 has, and stops at what is gone.
    with contextlib.suppress(PathResolutionError):
        RQInstrumentor().instrument()

app = App(
    queues=[Queue("high"), Queue("default"), Queue("low")],
    tasks="parity_tasks",
)
