from __future__ import annotations

from sample_app import app

task = app.task
