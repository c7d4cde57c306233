"""Values of every kind that a manifest can hold, made up by hypothesis."""

from typing import Any

from hypothesis import strategies as st

from holdfast.canonical import INTEGER_MAX
from holdfast.digest import Digest
from holdfast.evidence import (
    Card,
    CodeState,
    Column,
    Environment,
    Evidence,
    FeatureSchema,
    Holdout,
    Metrics,
    RunReference,
)
from holdfast.manifest import FileEntry, Manifest
from holdfast.names import ModelName, RelativePath, VersionNumber
from holdfast.parts import (
    Base,
    DataInput,
    DataSlice,
    EvalThreshold,
    Hyperparameters,
    Missing,
    Parts,
    PreprocessingCode,
    Weights,
)

text = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
number = st.one_of(
    st.integers(-INTEGER_MAX, INTEGER_MAX).map(float),
    st.floats(allow_nan=False, allow_infinity=False),
    st.sampled_from([0.0, -0.0, 1e20, 1e21, -1e16, 9.1e18, 5e-324, 1e-7, 1.7976931348623157e308]),
)
scalar = st.one_of(st.none(), st.booleans(), st.integers(-INTEGER_MAX, INTEGER_MAX), number, text)
json_values = st.recursive(
    scalar, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(text, inner, max_size=3), max_leaves=8
)
objects = st.dictionaries(text, json_values, max_size=3)

names = st.from_regex(r"[a-z][a-z0-9._-]{0,10}", fullmatch=True).filter(lambda name: name not in {"latest", "newest"})
digests = st.integers(0, 2**256 - 1).map(lambda value: Digest(f"{value:064x}"))
paths = (
    st.lists(st.from_regex(r"[a-z]{1,6}", fullmatch=True).map("{}_".format), min_size=1, max_size=3)
    .map("/".join)
    .map(RelativePath)
)


def extra(*known: str) -> st.SearchStrategy[dict[str, Any]]:
    """Fields that a newer minor format might add: any but those that are known here."""
    return st.dictionaries(text.filter(lambda key: key not in {*known, "missing"}), json_values, max_size=2)


def missing(name: str) -> st.SearchStrategy[Missing]:
    return st.builds(Missing, st.just(name), text, extra())


def or_missing(name: str, there: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.one_of(there, missing(name))


some_paths = st.lists(paths, max_size=3, unique=True).map(tuple)
bases = st.builds(
    Base,
    digests,
    names.map(ModelName),
    st.integers(1, 10**6).map(VersionNumber),
    text,
    st.lists(paths, min_size=1, max_size=3, unique=True).map(tuple),
    extra("digest", "model", "number", "format", "files"),
)
weights = st.builds(
    Weights,
    text,
    text,
    text,
    st.booleans(),
    st.lists(paths, min_size=1, max_size=3, unique=True).map(tuple),
    st.none() | bases,
    extra("format", "loader", "model_class", "executes_code", "files", "base"),
)
inputs = st.builds(
    DataInput,
    text,
    text,
    digests,
    st.integers(0, INTEGER_MAX),
    st.integers(0, INTEGER_MAX),
    st.none() | text,
    extra("role", "name", "digest", "files", "bytes", "source"),
)
data_slices = st.builds(DataSlice, st.lists(inputs, min_size=1, max_size=3).map(tuple), extra("inputs"))
code = st.builds(
    PreprocessingCode,
    text,
    st.none() | text,
    st.none() | paths,
    some_paths,
    st.none() | text,
    st.booleans(),
    extra("kind", "entry_point", "state", "files", "commit", "executes_code"),
)
hyperparameters = st.builds(
    Hyperparameters, objects, st.dictionaries(text, text, max_size=3), objects, extra("values", "sources", "seeds")
)
_threshold_extra = extra("rule", "value", "positive", "negative", "metric", "slice")
thresholds = st.one_of(
    st.builds(EvalThreshold, st.just("cut_off"), number, scalar, scalar, st.none() | text, st.none() | text),
    st.builds(EvalThreshold, st.just("argmax"), st.none() | number, extra=_threshold_extra),
    st.builds(EvalThreshold, st.just("identity"), metric=st.none() | text, extra=_threshold_extra),
    st.builds(EvalThreshold, st.just("a rule of tomorrow"), st.none() | number, extra=_threshold_extra),
)
parts = st.builds(
    Parts,
    or_missing("weights", weights),
    or_missing("data_slice", data_slices),
    or_missing("preprocessing_code", code),
    or_missing("hyperparameters", hyperparameters),
    or_missing("eval_threshold", thresholds),
    extra("weights", "data_slice", "preprocessing_code", "hyperparameters", "eval_threshold"),
)

environments = st.builds(Environment, text, paths, objects, extra("python", "lock", "values"))
columns = st.builds(
    Column,
    text,
    text,
    st.booleans(),
    st.none() | number,
    st.none() | number,
    st.lists(scalar, max_size=3).map(tuple),
    st.booleans(),
    st.none() | text,
    extra("name", "dtype", "nullable", "minimum", "maximum", "categories", "enforce", "native"),
)
schemas = st.builds(
    FeatureSchema,
    text,
    st.lists(columns, max_size=3, unique_by=lambda column: column.name).map(tuple),
    extra("container", "columns"),
)
metrics = st.builds(
    Metrics,
    text,
    st.dictionaries(text, number, max_size=3),
    st.dictionaries(text, st.booleans(), max_size=3),
    st.integers(0, INTEGER_MAX),
    st.none() | number,
    extra("primary", "values", "higher_is_better", "rows", "threshold"),
)
holdouts = st.builds(
    Holdout,
    paths,
    paths,
    st.integers(0, INTEGER_MAX),
    st.none() | text,
    st.lists(text, max_size=3).map(tuple),
    st.none() | digests,
    extra("rows", "outputs", "count", "target", "groups", "snapshot"),
)
runs = st.builds(RunReference, text, extra("id"))
states = st.builds(CodeState, st.none() | text, st.booleans(), st.none() | paths, extra("commit", "dirty", "patch"))
cards = st.builds(Card, paths, extra("file"))
evidence = st.builds(
    Evidence,
    or_missing("environment", environments),
    or_missing("schema", schemas),
    or_missing("metrics", metrics),
    or_missing("holdout", holdouts),
    or_missing("run", runs),
    or_missing("code", states),
    or_missing("card", cards),
    extra("environment", "schema", "metrics", "holdout", "run", "code", "card"),
)


def named_paths(parts: Parts, evidence: Evidence) -> set[RelativePath]:
    found: set[RelativePath | None] = set()
    if isinstance(parts.weights, Weights):
        found |= set(parts.weights.files)
        found |= set(parts.weights.base.files) if parts.weights.base is not None else set()
    if isinstance(parts.preprocessing_code, PreprocessingCode):
        found |= set(parts.preprocessing_code.files) | {parts.preprocessing_code.state}
    if isinstance(evidence.environment, Environment):
        found.add(evidence.environment.lock)
    if isinstance(evidence.holdout, Holdout):
        found |= {evidence.holdout.rows, evidence.holdout.outputs}
    if isinstance(evidence.code, CodeState):
        found.add(evidence.code.patch)
    if isinstance(evidence.card, Card):
        found.add(evidence.card.file)
    return {path for path in found if path is not None}


def _is_tree(listed: set[RelativePath]) -> bool:
    """No file of the set stands where another has a folder."""
    texts = {str(path) for path in listed}
    return not any(f"{a}/" == b[: len(a) + 1] for a in texts for b in texts)


@st.composite
def manifests(draw: st.DrawFn) -> Manifest:
    held, beside = draw(parts), draw(evidence)
    listed = named_paths(held, beside) | set(draw(st.lists(paths, max_size=3)))
    kept = draw(st.just(listed).filter(_is_tree))
    more = extra("path", "digest", "size")
    files = tuple(
        FileEntry(path, draw(digests), draw(st.integers(0, INTEGER_MAX)), draw(more)) for path in sorted(kept)
    )
    fields = extra("format", "format_version", "model", "parts", "evidence", "files")
    name, minor, pure = ModelName(draw(names)), draw(st.integers(0, 99)), draw(st.booleans())
    return Manifest(name, held, beside, files, minor, draw(fields), pure)
