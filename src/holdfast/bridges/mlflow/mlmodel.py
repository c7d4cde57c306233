"""The file `MLmodel`: what MLflow says about a model that it wrote.

Source: the documentation of MLflow, "MLflow Models", https://mlflow.org/docs/
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from holdfast.bridges.mlflow.documents import mapping_of, yaml_in
from holdfast.bridges.mlflow.said import LoggedFiles
from holdfast.canonical import Json, JsonObject, decode
from holdfast.errors import HoldfastError, MissingExtra

__all__ = ["MLMODEL", "PYFUNC", "LoggedModel", "read_mlmodel"]

MLMODEL = "MLmodel"

PYFUNC = "python_function"
"""The flavor that every model has which `mlflow.pyfunc` can open."""


@dataclass(frozen=True, slots=True)
class LoggedModel:
    """What an MLmodel file says.

    Attributes:
        flavors: the ways in which the model can be opened, by name.
        inputs: the columns or tensors that its signature names; None without a signature.
        outputs: likewise what it answers.
        metadata: what the script added, under names of its own.
        example: how its input example was kept; empty when it has none.
        mlflow_version: which MLflow wrote it.
        created: when, in UTC, as MLflow writes times.
    """

    flavors: Mapping[str, JsonObject]
    inputs: tuple[JsonObject, ...] | None = None
    outputs: tuple[JsonObject, ...] | None = None
    metadata: Mapping[str, Json] = field(default_factory=dict)
    example: Mapping[str, Json] = field(default_factory=dict)
    mlflow_version: str = ""
    created: str = ""

    @property
    def flavor(self) -> str:
        """The framework's own flavor, such as `sklearn`; `python_function` for a model that is only that."""
        return next((name for name in self.flavors if name != PYFUNC), PYFUNC)

    @property
    def framework(self) -> JsonObject:
        """What the framework's flavor says."""
        return self.flavors.get(self.flavor, {})

    @property
    def pyfunc(self) -> JsonObject | None:
        """What the flavor `python_function` says; None where only the framework itself opens the model."""
        return self.flavors.get(PYFUNC)

    @property
    def predict_fn(self) -> str:
        """Which method of the model answers."""
        return _text(self.pyfunc or {}, "predict_fn") or "predict"

    @property
    def code(self) -> str | None:
        """The folder of Python code that was logged with it; None when there is none."""
        return _text(self.pyfunc or {}, "code") or _text(self.framework, "code")

    @property
    def loader_module(self) -> str:
        """The module that opens it."""
        return _text(self.pyfunc or {}, "loader_module") or ""

    def said(self, name: str) -> str | None:
        """A text of the framework's flavor, or of `python_function`."""
        return _text(self.framework, name) or _text(self.pyfunc or {}, name)


def read_mlmodel(files: LoggedFiles) -> tuple[LoggedModel | None, str]:
    """What the MLmodel file among these says; None, and why, where there is none that can be read.

    Raises:
        MissingExtra: there is no library for YAML here.
    """
    try:
        found = yaml_in(files, MLMODEL)
    except MissingExtra:
        raise
    except HoldfastError as error:
        return None, error.message
    if found is None:
        return None, "the folder has no MLmodel file, so nothing says how to open it"
    flavors = {name: mapping_of(value) for name, value in mapping_of(found.get("flavors")).items()}
    if not flavors:
        return None, "its MLmodel file names no flavor"
    signature = mapping_of(found.get("signature"))
    return LoggedModel(
        flavors=flavors,
        inputs=_specs(signature.get("inputs")),
        outputs=_specs(signature.get("outputs")),
        metadata=mapping_of(found.get("metadata")),
        example=mapping_of(found.get("saved_input_example_info")),
        mlflow_version=str(found.get("mlflow_version") or ""),
        created=str(found.get("utc_time_created") or ""),
    ), ""


def _specs(text: Json) -> tuple[JsonObject, ...] | None:
    """One half of a signature, which is JSON inside the YAML."""
    if not isinstance(text, str):
        return None
    try:
        found = decode(text, what="the signature", exact=True)
    except HoldfastError:
        return None
    if not isinstance(found, list) or not all(isinstance(item, dict) for item in found):
        return None
    return tuple(mapping_of(item) for item in found)


def _text(mapping: JsonObject, key: str) -> str | None:
    value = mapping.get(key)
    return value if isinstance(value, str) and value else None
