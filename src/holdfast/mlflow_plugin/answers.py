"""What a model that MLflow just wrote answers, so that everybody can see later whether it still does.

The model is opened once more, by MLflow, from the folder that is about to be sent: what is recorded is what the files
say, and not what the training remembers.
"""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mlflow import pyfunc
from mlflow.utils.autologging_utils import disable_autologging

from holdfast.canonical import JsonObject, encode
from holdfast.digest import Digest
from holdfast.mlflow_plugin.datasets import Rows
from holdfast.mlflow_plugin.freezing import ROWS_MAX
from holdfast.runtime.loaders.mlflow import NETWORKS, QUICK, estimator_scores, rows_of, two_sided
from holdfast.runtime.pipeline import Answer
from holdfast.runtime.rows import Table, table_of, values_of, write_table
from holdfast.runtime.smoke import write_outputs

__all__ = ["Asked", "answers_of", "answers_rows", "best_first", "replaces", "says_rows"]

_LOG = logging.getLogger("holdfast")

_MODEL_BYTES_MAX = 1 << 30
"""A model beyond this is not opened a second time beside the one in memory: the machine may not have room for two."""

_NETWORK_BYTES_MAX = 32 << 20
"""A network up to this answers a thousand rows within some seconds on two cores, convolutions and all. One beyond it is
asked about its input example only."""

_ASK, _ROWS = "holdfast.ask", "rows"
"""The word of a script whose author knows that a thousand questions cost nothing and set nothing off."""


@dataclass(frozen=True, slots=True)
class Asked:
    """Rows to ask a model about.

    Attributes:
        of: `eval`, `train`, or `input_example`.
        rows: at most `ROWS_MAX` of them.
        count: how many rows they were taken from.
        snapshot: where all of them are frozen; None where they are not.
    """

    of: str
    rows: Rows
    count: int
    snapshot: Digest | None = None


def replaces(new: Asked, old: Asked | None) -> bool:
    """Whether a model is better asked about `new` than about `old`, which was logged before it for the same use.

    Autolog logs whatever a model is asked to predict as `eval`, and MLflow asks it about its input example by itself.
    Such rows have no answers, and do not take the place of those that have, whether beside them or in a column.
    """
    return old is None or new.rows.told >= old.rows.told


def best_first(held_back: Asked | None, trained_on: Asked | None) -> tuple[Asked, ...]:
    """What a model is asked about: rows that it was not trained on say most, if anybody knows their answers.

    Args:
        held_back: rows that it was not trained on.
        trained_on: rows that it was.
    """
    both = tuple(one for one in (held_back, trained_on) if one is not None)
    if held_back is None or trained_on is None:
        return both
    (known, columns), (known_too, columns_too) = held_back.rows.told, trained_on.rows.told
    return both if known or not known_too or columns > columns_too else both[::-1]


def answers_of(folder: Path, known: Any, asked: Sequence[Asked], willing: Callable[[], bool]) -> dict[str, bytes]:
    """The files that say what the model answers to the first of `asked` that it takes; empty where it takes none.

    Args:
        folder: the model's.
        known: what MLflow's `Model` says of it.
        asked: what it may be asked, the best first; its own input example comes last.
        willing: whether its author says that it may be asked about rows, whatever kind of model it is.
    """
    loader = known.flavors.get("python_function", {}).get("loader_module")
    size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    if loader is None or size > _MODEL_BYTES_MAX:
        return {}
    example = _example(folder, known)
    may = bool(asked) and (answers_rows(loader, size) or willing())
    candidates = [*(asked if may else ()), *(() if example is None else (example,))]
    if not candidates:
        return {}
    with disable_autologging():
        model = pyfunc.load_model(str(folder), suppress_warnings=True)
        return next((told for one in candidates if (told := _tried(model, one))), {})


def answers_rows(loader: str, size: int) -> bool:
    """Whether a model is asked about a thousand rows, and not about its input example only.

    Args:
        loader: the module of MLflow's that opens it.
        size: of its files, in bytes.
    """
    flavor = loader.removeprefix("mlflow.")
    # What a thousand rows would cost any other, or set off, is its author's to say.
    return flavor in QUICK or (flavor in NETWORKS and size <= _NETWORK_BYTES_MAX)


def says_rows(words: Mapping[str, Any]) -> bool:
    """Whether tags, params or metadata say that the model may be asked about rows."""
    return str(words.get(_ASK, "")).strip().lower() == _ROWS


def _example(folder: Path, known: Any) -> Asked | None:
    """The example of its input that is saved with the model, where it is rows."""
    example: Any = known.load_input_example(str(folder)) if known.saved_input_example_info else None
    if not hasattr(example, "columns") and getattr(example, "ndim", 0) != 2:  # noqa: PLR2004 - rows and columns
        return None
    return Asked("input_example", Rows(example[:ROWS_MAX]), len(example))


def _tried(model: Any, asked: Asked) -> dict[str, bytes]:
    """What the model answers; nothing where it does not take these rows, or gives no value for each of them."""
    try:
        return _told(model, asked)
    except Exception:  # noqa: BLE001 - another person's model may raise anything on rows that are not its own
        _LOG.debug("the model does not take rows of its %s data", asked.of, exc_info=True)
        return {}


def _told(model: Any, asked: Asked) -> dict[str, bytes]:
    rows = _named(model, asked.rows)
    answer = _answer(model, rows.features)
    table, target = _table(rows)
    facts: JsonObject = {
        "of": asked.of,
        "rows": asked.count,
        "target": target,
        "snapshot": None if asked.snapshot is None else str(asked.snapshot),
    }
    return {
        "holdout_rows.json": write_table(table),
        "holdout_outputs.json": write_outputs(answer),
        "holdout.json": encode(facts),
    }


def _named(model: Any, rows: Rows) -> Rows:
    """The rows under the names that the model asks for: libraries of trees keep rows without the names of columns."""
    schema = model.metadata.get_input_schema()
    names = [] if schema is None or schema.is_tensor_spec() else schema.input_names()
    if getattr(rows.features, "ndim", 0) != 2 or hasattr(rows.features, "columns"):  # noqa: PLR2004 - rows and columns
        return rows
    if len(names) != rows.features.shape[1] or not all(isinstance(name, str) for name in names):
        return rows
    import pandas as pd

    return Rows(pd.DataFrame(rows.features, columns=names), rows.targets, rows.name)


def _table(rows: Rows) -> tuple[Table, str | None]:
    """The rows, with their true answers as one more column where they are known, and the name of that."""
    table = table_of(rows.features).named()
    if rows.targets is None:
        return table, None
    targets = values_of(rows.targets.tolist() if hasattr(rows.targets, "tolist") else list(rows.targets))
    if any(target is None or isinstance(target, list) for target in targets):
        return table, None
    return Table.of_columns([*(table.names or ()), rows.name], [*table.columns, targets]), rows.name


def _answer(model: Any, features: Any) -> Answer:
    predictions = rows_of(model.predict(features))
    if len(predictions) != len(features):
        message = f"{len(predictions)} answers to {len(features)} rows"
        raise ValueError(message)
    inside = estimator_scores(model)
    if inside is None:
        return Answer(predictions, predictions, None)
    classes, score = inside
    return Answer(predictions, two_sided(rows_of(score(features)), classes), classes)
