"""Loggers of tasks: plain ones, since a worker's log says which job it was."""

from __future__ import annotations

import logging

from headway.shims.celery.lacking import nothing_else

task_logger = logging.getLogger("celery.task")


def get_logger(name: str) -> logging.Logger:
    """Return a logger."""
    return logging.getLogger(name)


def get_task_logger(name: str) -> logging.Logger:
    """Return the logger of a module of tasks."""
    logger = get_logger(name)
    if logger.parent is logging.root and logger is not task_logger:
        logger.parent = task_logger
    return logger


__getattr__ = nothing_else("utils.log")
