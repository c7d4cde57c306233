"""Code of a project, logged with its model."""


def double(rows: float) -> float:
    return rows * 2
