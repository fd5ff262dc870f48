"""An application that accepts pickle, as rq-scheduler's jobs are."""

from __future__ import annotations

from headway import App, Queue

app = App(
    queues=[Queue("default"), Queue("low")], tasks="sample_ledger", accept_pickle=True
)
