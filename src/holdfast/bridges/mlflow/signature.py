"""From a model signature to the feature schema, and to what kind of answer the model gives."""

from holdfast.bridges.mlflow.mlmodel import LoggedModel
from holdfast.canonical import Json, JsonObject
from holdfast.errors import UsageError
from holdfast.evidence import Column, FeatureSchema
from holdfast.flow.bundle.adding import NO_SIGNATURE
from holdfast.parts import Missing

__all__ = ["answers_of", "answers_several", "schema_of"]

_DTYPES = {
    "boolean": "bool",
    "integer": "int32",
    "long": "int64",
    "float": "float32",
    "double": "float64",
    "string": "string",
    "datetime": "datetime",
}
"""MLflow's types that one value of a request in JSON can carry, as Holdfast calls them."""

_TENSOR_DTYPES = {"bool", "float16", "float32", "float64"} | {
    f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)
}

_COLUMNS_MAX = 100_000
"""A tensor of so many columns is an image or a text, and its rows are no rows of features."""


def schema_of(model: LoggedModel | None) -> FeatureSchema | Missing:
    """The raw rows that the signature names; a frame of named columns, or the columns of one array."""
    if model is None or model.inputs is None:
        return Missing("schema", NO_SIGNATURE)
    if not model.inputs:
        return Missing("schema", "the signature names no inputs")
    if len(model.inputs) == 1 and model.inputs[0].get("type") == "tensor" and not model.inputs[0].get("name"):
        return _of_array(model.inputs[0])
    columns = []
    for spec in model.inputs:
        name, kind = spec.get("name"), spec.get("type")
        if not isinstance(name, str) or not name:
            return Missing("schema", "the signature has a column without a name")
        if not isinstance(kind, str) or kind not in _DTYPES:
            return Missing(
                "schema", f"column {name[:80]!r} is of the type {str(kind)[:40]}, which is no single value of a row"
            )
        required = spec.get("required") is not False and spec.get("optional") is not True
        columns.append(Column(name, _DTYPES[kind], nullable=not required))
    try:
        return FeatureSchema("pandas", tuple(columns))
    except UsageError as error:
        return Missing("schema", error.message)


def answers_several(model: LoggedModel) -> bool:
    """Whether the signature says that one answer is several values: named columns, or a mapping of them."""
    outputs = model.outputs or ()
    return len(outputs) > 1 or any(spec.get("type") in {"object", "map", "array"} for spec in outputs)


def _of_array(spec: JsonObject) -> FeatureSchema | Missing:
    dtype, shape = _tensor(spec)
    width = shape[1] if len(shape) == 2 else 0  # noqa: PLR2004 - rows by columns
    if dtype not in _TENSOR_DTYPES or not isinstance(width, int) or not 0 < width <= _COLUMNS_MAX:
        return Missing("schema", f"the model takes tensors of {dtype[:20]} in the shape {shape}, which are no rows")
    return FeatureSchema("numpy", tuple(Column(f"x{place}", dtype) for place in range(width)))


def answers_of(model: LoggedModel) -> str:
    """What the signature says one answer is: `integer`, `number`, `boolean`, `text`, or empty when it does not say."""
    if model.outputs is None or len(model.outputs) != 1:
        return ""
    (spec,) = model.outputs
    if spec.get("type") != "tensor":
        kinds = {"boolean": "boolean", "integer": "integer", "long": "integer", "float": "number", "double": "number"}
        return {**kinds, "string": "text"}.get(str(spec.get("type")), "")
    dtype, shape = _tensor(spec)
    if len(shape) != 1:
        return ""
    if dtype in {"object", "str"} or dtype.startswith(("<U", "str")):
        return "text"
    return "boolean" if dtype == "bool" else "number" if dtype.startswith("float") else "integer"


def _tensor(spec: JsonObject) -> tuple[str, list[Json]]:
    found = spec.get("tensor-spec")
    if not isinstance(found, dict) or not isinstance(found.get("shape"), list):
        return "", []
    return str(found.get("dtype")), list(found["shape"])
