from __future__ import annotations

from tasks.brain.progress import Progress


def test_a_remark_whose_numbers_alone_have_changed_is_not_made_again_at_once(capsys):
    progress = Progress()
    for queued in range(50):
        progress.said(f"waiting: jobs: {queued} queued, 2 running")
        progress.said("waiting: a server is away")
    progress.said("waiting: jobs: 50 queued, 2 running; no worker is there")
    assert capsys.readouterr().out.splitlines() == [
        "waiting: jobs: 0 queued, 2 running",
        "waiting: a server is away",
        "waiting: jobs: 50 queued, 2 running; no worker is there",
    ]
