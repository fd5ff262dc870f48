"""The second brain: what this application does in the background.

Each file is one subject. A document comes in by `ingest`, is parsed by `files` or
`packages`, cut by `chunks`, kept by `store`, given vectors by `embed` and neighbours
by `graph`; `search` answers from it, `agents` compares and summarises.
"""

from __future__ import annotations

from queues import app

task = app.task
