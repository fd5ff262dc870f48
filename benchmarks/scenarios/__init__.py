"""One file per scenario; each has `run(options) -> Report`."""
