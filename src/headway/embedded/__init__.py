from __future__ import annotations

from headway.embedded.services import Services

__all__ = ["Services"]
