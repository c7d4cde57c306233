"""Rows as JSON: MLflow's scoring protocol, the plain shape of `/predict`, and one row a line.

* MLflow: `dataframe_records`, `dataframe_split`, `inputs`, `instances`
* plain: `{"rows": [{…}]}`, or `{"columns": […], "rows": [[…]]}`
* a bare list of rows, or one row a line
"""

import json

from holdfast.canonical import Json
from holdfast.errors import InvalidInput
from holdfast.runtime.rows import ROWS_MAX, Table, too_many_rows

__all__ = ["decoded", "invocations", "lines", "plain_rows"]

_KEYS = ("dataframe_records", "dataframe_split", "inputs", "instances")


def decoded(body: bytes) -> Json:
    """The JSON value of a body.

    Raises:
        InvalidInput: it is none, or nested past any use.
    """
    try:
        value: Json = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise InvalidInput(f"the request is not JSON: {error}", hint="Send UTF-8 JSON.") from error
    return value


def lines(body: bytes) -> Table:
    """Rows written one a line; all are objects, or all are lists.

    Raises:
        InvalidInput: a line that is no JSON, or no row.
        TooLarge: more than `ROWS_MAX` lines.
    """
    # Blank lines are no rows, and a file ends with one.
    written = [line for line in body.split(b"\n") if line.strip()]
    if len(written) > ROWS_MAX:
        raise too_many_rows(len(written))
    rows = []
    for place, line in enumerate(written):
        try:
            rows.append(json.loads(line))
        except (ValueError, RecursionError) as error:
            raise InvalidInput(f"row {place} is not JSON: {error}", hint="Send one row a line.", row=place) from error
    return _rows(rows)


def invocations(request: Json) -> Table:
    """The rows of a request in one of MLflow's shapes, or of a bare list of rows.

    Raises:
        InvalidInput: none of the shapes, or parameters, which no version has.
    """
    if isinstance(request, list):
        return _rows(request)
    if not isinstance(request, dict):
        raise InvalidInput("the request is not a JSON object", hint=f"Send one of {', '.join(_KEYS)}.")
    given = [key for key in _KEYS if key in request]
    if len(given) != 1:
        raise InvalidInput(
            f"the request has {len(given) or 'none'} of {', '.join(_KEYS)}; exactly one is needed",
            hint='For instance {"dataframe_records": [{"age": 41, "plan": "basic"}]}.',
        )
    if request.get("params"):
        # To pass them over in silence would answer another question than was asked.
        raise InvalidInput(
            "the request has params, and a version takes none: its hyperparameters are pinned in it",
            hint="Leave params out.",
        )
    value = request[given[0]]
    if given[0] == "dataframe_split":
        return _split(value)
    if given[0] == "dataframe_records":
        if not isinstance(value, list):
            raise InvalidInput(f"{given[0]} is not a list of rows", hint="Send a list of JSON objects.")
        return Table.of_records(value)
    if isinstance(value, dict):
        columns = [column if isinstance(column, list) else [column] for column in value.values()]
        return Table.of_columns(list(value), columns)
    if not isinstance(value, list):
        raise InvalidInput(f"{given[0]} is neither rows nor columns", hint="Send a list of rows.")
    return _rows(value)


def plain_rows(request: Json) -> Table:
    """The rows of `{"rows": […]}`, with `columns` where they are lists, or of a bare list.

    Raises:
        InvalidInput: neither.
    """
    if isinstance(request, list):
        return _rows(request)
    if not isinstance(request, dict) or not isinstance(request.get("rows"), list):
        raise InvalidInput("the request has no rows", hint='Send {"rows": [{"age": 41, "plan": "basic"}]}.')
    if request.get("columns") is None:
        return _rows(request["rows"])
    return _split({"columns": request["columns"], "data": request["rows"]})


def _rows(rows: list[Json]) -> Table:
    return Table.of_records(rows) if rows and isinstance(rows[0], dict) else Table.of_arrays(rows)


def _split(value: Json) -> Table:
    if not isinstance(value, dict) or not isinstance(value.get("data"), list):
        raise InvalidInput("dataframe_split has no data", hint='Send {"columns": […], "data": [[…], …]}.')
    names, rows = value.get("columns"), value["data"]
    if names is None:
        return Table.of_arrays(rows)
    if not isinstance(names, list):
        raise InvalidInput("columns is not a list of names", hint='Send {"columns": ["age"], …}.')
    for place, row in enumerate(rows):
        if not isinstance(row, list) or len(row) != len(names):
            found = f"{len(row)} values were sent" if isinstance(row, list) else "no list was sent"
            raise InvalidInput(
                f"row {place}: {len(names)} values were expected, one for each of the columns, {found}",
                hint="Give one value a column.",
                row=place,
            )
    columns = [[row[place] for row in rows] for place in range(len(names))]
    return Table.of_columns([str(name) for name in names], columns, count=len(rows))
