"""What a module has imported is not its own, and may not be run by its name."""

from __future__ import annotations

import os
from os import system
from os.path import join

__all__ = ["join", "os", "system"]
