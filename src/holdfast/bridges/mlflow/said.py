"""What is handed in to make a bundle of a logged model, and what comes out."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from holdfast.canonical import Json
from holdfast.digest import Digest
from holdfast.errors import NotFound, TooLarge
from holdfast.flow.capture import Capture
from holdfast.names import RelativePath
from holdfast.tracking.values import RunInput

__all__ = ["LoggedDataset", "LoggedFiles", "Said"]


@dataclass(frozen=True, slots=True)
class LoggedDataset:
    """A dataset as `mlflow.log_input` describes it: a pointer, for MLflow keeps none of its bytes.

    Attributes:
        name: what the script called it.
        digest: MLflow's own, eight characters over a sample of the rows; it names no bytes.
        source_type: the kind of its source, such as `code` or `local`.
        source: where it came from, as JSON text.
        context: what it was for, such as `training`; empty when the script did not say.
    """

    name: str
    digest: str
    source_type: str = ""
    source: str = ""
    context: str = ""


@dataclass(frozen=True, slots=True)
class LoggedFiles:
    """The files of a logged model, whose bytes lie in a store already.

    Attributes:
        files: digest and size of each, by its path below the model's folder.
        bytes_of: the verified bytes of a digest, of which there may be so many at most; a store's `read`.
    """

    files: Mapping[RelativePath, tuple[Digest, int]]
    bytes_of: Callable[[Digest, int], bytes]

    def has(self, path: str) -> bool:
        """Whether there is a file at `path`."""
        return RelativePath(path) in self.files

    def read(self, path: str, bytes_max: int) -> bytes:
        """The bytes of the file at `path`.

        Raises:
            NotFound: there is none.
            TooLarge: it is longer than `bytes_max`.
        """
        found = self.files.get(RelativePath(path))
        if found is None:
            raise NotFound(f"the logged model has no file {path}", hint="Log the model again.", path=path)
        digest, size = found
        if size > bytes_max:
            raise TooLarge(
                f"{path} of the logged model has {size} bytes, which passes the limit of {bytes_max}",
                hint="Log a model whose description is shorter; weights have no such limit.",
                limit=bytes_max,
            )
        return self.bytes_of(digest, bytes_max)


@dataclass(frozen=True, slots=True)
class Said:
    """What an MLflow client said about a model, beside its files.

    Attributes:
        run_id: the run that it came from; None when it came from none.
        run_name: of that run.
        started_at: when that run began, as Holdfast writes times; empty when that is not known.
        user: who started it.
        params: of the run.
        metrics: of the run; the last value of each.
        tags: of the run.
        datasets: what `mlflow.log_input` described.
        inputs: data of the run that Holdfast froze.
        capture: what Holdfast's plugin captured of the run; None without it.
        model_id: of the logged model, such as `m-4c…`; None for a folder of files of a run.
        model_params: what the logged model itself says.
        model_metrics: what was logged of this very model.
        model_tags: of the logged model, and of the version that is asked for; they go before those of the run.
    """

    run_id: str | None = None
    run_name: str = ""
    started_at: str = ""
    user: str = ""
    params: Mapping[str, str] = field(default_factory=dict)
    metrics: Mapping[str, float] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)
    datasets: tuple[LoggedDataset, ...] = ()
    inputs: tuple[RunInput, ...] = ()
    capture: Capture | None = None
    model_id: str | None = None
    model_params: Mapping[str, str] = field(default_factory=dict)
    model_metrics: Mapping[str, float] = field(default_factory=dict)
    model_tags: Mapping[str, str] = field(default_factory=dict)

    def word(self, name: str, metadata: Mapping[str, Json]) -> str | None:
        """What was said under a name of Holdfast's, such as `holdfast.metric`, wherever a script can say it.

        The model's own tags go before its run's, tags before params, and the `metadata` of the MLmodel file comes last.
        """
        for place in (self.model_tags, self.tags, self.model_params, self.params):
            if name in place:
                return place[name].strip()
        found = metadata.get(name)
        return None if found is None or isinstance(found, dict | list) else str(found).strip()
