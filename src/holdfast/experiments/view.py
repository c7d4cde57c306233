"""Which of what can be deleted a search means."""

from enum import Enum
from typing import Any

from sqlalchemy import ColumnElement, true

__all__ = ["View", "shown"]


class View(Enum):
    """As MLflow's clients name it."""

    ACTIVE = "ACTIVE_ONLY"
    DELETED = "DELETED_ONLY"
    ALL = "ALL"


def shown(deleted_ms: ColumnElement[Any], view: View) -> ColumnElement[bool]:
    """Whether a row is meant, by the moment of its deletion."""
    if view is View.ALL:
        return true()
    return deleted_ms.is_(None) if view is View.ACTIVE else deleted_ms.is_not(None)
