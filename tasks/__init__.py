"""The second brain: what this application does in the background.

Each file is one subject: a document is found and read by `ingest` with `files`, given
vectors by `embed` and neighbours by `graph`; `agents` compares and summarises, and
`schedules` says what runs by itself. What they work with is in `brain`.
"""

from __future__ import annotations

from queues import app

task = app.task
