"""How MLflow's filters and orders are read."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.errors import UsageError
from holdfast.experiments.filters import (
    EXPERIMENTS,
    LOGGED_MODELS,
    REGISTERED_MODELS,
    RUNS,
    VERSIONS,
    Clause,
    Grammar,
    Sorting,
    parse_filter,
    parse_order,
)


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("metrics.acc > 0.9", Clause("metric", "acc", ">", 0.9)),
        ("metric.`a/b c`>=-1e-3", Clause("metric", "a/b c", ">=", -0.001)),
        ("params.lr = '0.1'", Clause("parameter", "lr", "=", "0.1")),
        ('params."a b" like "x%"', Clause("parameter", "a b", "LIKE", "x%")),
        ("tags.mlflow.user != 'ana'", Clause("tag", "mlflow.user", "!=", "ana")),
        ("tags.`mlflow.user` ilike 'A%'", Clause("tag", "mlflow.user", "ILIKE", "A%")),
        ("tag.x is  not null", Clause("tag", "x", "IS NOT NULL", None)),
        ("param.x IS NULL", Clause("parameter", "x", "IS NULL", None)),
        ('run_name = "it\'s"', Clause("attribute", "run_name", "=", "it's")),
        ("attributes.`Run Name` = 'x'", Clause("attribute", "run_name", "=", "x")),
        ("created < 5", Clause("attribute", "start_time", "<", 5)),
        ("run_id not in ('a', 'b',)", Clause("attribute", "run_id", "NOT IN", ("a", "b"))),
        ("run_id IN ('a')", Clause("attribute", "run_id", "IN", ("a",))),
        ("datasets.context IN ('train')", Clause("dataset", "context", "IN", ("train",))),
    ],
)
def test_a_clause_is_read(written: str, read: Clause) -> None:
    assert parse_filter(written, RUNS) == (read,)


def test_clauses_are_joined_by_and_alone() -> None:
    read = (Clause("metric", "a", ">", 1.0), Clause("tag", "b", "=", "and"), Clause("parameter", "c", "IS NULL", None))
    assert parse_filter("metrics.a>1 and tags.b = 'and' AND params.c is null", RUNS) == read
    with pytest.raises(UsageError) as refused:
        parse_filter("metrics.a > 1 OR tags.b = 'x'", RUNS)
    assert refused.value.message == "Invalid clause(s) in filter string: 'OR'"


@pytest.mark.parametrize(
    ("written", "message"),
    [
        ("metrics.acc >", "Invalid clause(s) in filter string: 'metrics.acc', '>'"),
        ("(tags.x='a')", "Invalid clause(s) in filter string: '(tags.x='a')'"),
        ("tags.x='a';tags.y='b'", "Search filter contained multiple expression \"tags.x='a';tags.y='b'\"."),
        ("metrics.acc > '0.9'", "Expected numeric value type for metric. Found '0.9'"),
        ("params.lr = 0.1", "Expected a quoted string value for parameter (e.g. 'my-value'). Got value 0.1"),
        ("tags.x = a", "Parameter value is either not quoted or unidentified quote types used for string value a."),
        ("foo.x = 'y'", "Invalid entity type 'foo'. Valid values are ['metric', 'parameter', 'tag', 'attribute', "),
        ("foo = 'y'", "Invalid attribute key 'foo' specified. Valid keys are '{"),
        ("dataset.foo = 'x'", "Invalid dataset key 'foo' specified."),
        ("run_id IN ()", "While parsing a list in the query, expected a non-empty list of string values"),
        ("run_id IN (1)", "While parsing a list in the query, expected string value, punctuation, or whitespace"),
        ("status IN ('a')", "Only ['run_id'] attributes support comparison with a list of quoted string values."),
        ("'a' = tags.x", "Invalid comparison clause. Expected 'Identifier' found ''a''"),
        ("metrics.a IS NULL", "IS NULL / IS NOT NULL is only supported for tags and params, not for 'metric' 'a'"),
        ("tags.x < 'a'", "Invalid comparator '<' not one of '{"),
        ("metrics.a == 1", "Invalid comparator '==' not one of '{"),
        ("run_id = ('a', 'b')", "Invalid comparator '=' not one of '{"),
        ("start_time > 'x'", "Expected numeric value type for numeric attribute: start_time. Found 'x'"),
        ("   ", "Invalid filter '   '. Could not be parsed."),
    ],
)
def test_what_cannot_be_read_is_refused_in_the_words_of_mlflow(written: str, message: str) -> None:
    with pytest.raises(UsageError) as refused:
        parse_filter(written, RUNS)
    assert refused.value.message.startswith(message)


def test_what_is_long_beyond_use_is_refused() -> None:
    for written in (
        " and ".join(["metrics.a > 1"] * 65),
        f"tags.a = '{'x' * 200_000}'",
        "run_id IN (" + "'a'," * 10_001 + ")",
    ):
        with pytest.raises(UsageError):
            parse_filter(written, RUNS)


@pytest.mark.parametrize(
    ("grammar", "written", "read"),
    [
        (EXPERIMENTS, "experiment_id IN ('1')", Clause("attribute", "experiment_id", "IN", ("1",))),
        (EXPERIMENTS, "creation_time > 5", Clause("attribute", "creation_time", ">", 5)),
        (REGISTERED_MODELS, "tags.`a.b` != 'true'", Clause("tag", "a.b", "!=", "true")),
        (VERSIONS, "version_number = '3'", Clause("attribute", "version_number", "=", 3)),
        (VERSIONS, "run_id IN ('a','b')", Clause("attribute", "run_id", "IN", ("a", "b"))),
        (LOGGED_MODELS, "creation_time >= 5", Clause("attribute", "creation_timestamp", ">=", 5)),
    ],
)
def test_each_search_has_its_grammar(grammar: Grammar, written: str, read: Clause) -> None:
    assert parse_filter(written, grammar) == (read,)


@pytest.mark.parametrize(
    ("grammar", "written", "message"),
    [
        (EXPERIMENTS, "metrics.a > 1", "Invalid entity type 'metrics'. Valid entity types are ('attribute', 'tag', "),
        (EXPERIMENTS, "name IS NULL", "IS NULL / IS NOT NULL is only supported for tags, not for attribute 'name'"),
        (EXPERIMENTS, "name='a' or name='b'", "Invalid clause(s) in filter string: or"),
        (REGISTERED_MODELS, "version_number = 3", "Invalid attribute key 'version_number' specified."),
        (VERSIONS, "tags.a IS NULL", "IS NULL / IS NOT NULL is not supported here"),
    ],
)
def test_each_search_refuses_what_is_of_another(grammar: Grammar, written: str, message: str) -> None:
    with pytest.raises(UsageError) as refused:
        parse_filter(written, grammar)
    assert refused.value.message.startswith(message)


_KEYS = st.text(st.characters(codec="utf-8", exclude_characters="`", exclude_categories=["Cc", "Cs"]), min_size=1)
_TEXTS = st.text(st.characters(codec="utf-8", exclude_characters="'\\\0", exclude_categories=["Cs"]))
_LISTED = st.text("abc-_. ")
_CLAUSES = st.one_of(
    st.builds(
        Clause,
        st.just("metric"),
        _KEYS,
        st.sampled_from([">", ">=", "!=", "=", "<", "<="]),
        st.floats(allow_nan=False, allow_infinity=False),
    ),
    st.builds(Clause, st.sampled_from(["parameter", "tag"]), _KEYS, st.sampled_from(["=", "!=", "LIKE"]), _TEXTS),
    st.builds(Clause, st.sampled_from(["parameter", "tag"]), _KEYS, st.just("IS NOT NULL"), st.none()),
    st.builds(
        Clause,
        st.just("attribute"),
        st.just("run_id"),
        st.sampled_from(["IN", "NOT IN"]),
        st.lists(_LISTED, min_size=1).map(tuple),
    ),
)


def _written(clause: Clause) -> str:
    value = clause.value
    if isinstance(value, tuple):
        said = "(" + ", ".join(f"'{one}'" for one in value) + ")"
    else:
        said = "" if value is None else f"'{value}'" if isinstance(value, str) else repr(value)
    return f"{clause.kind}.`{clause.key}` {clause.operator} {said}".strip()


@given(st.lists(_CLAUSES, min_size=1, max_size=6))
def test_a_filter_that_was_written_is_read_as_it_was_meant(clauses: list[Clause]) -> None:
    assert parse_filter(" AND ".join(_written(one) for one in clauses), RUNS) == tuple(clauses)


@given(st.text(max_size=200), st.sampled_from([RUNS, EXPERIMENTS, VERSIONS, LOGGED_MODELS]))
def test_no_text_is_read_with_any_other_end_than_clauses_or_a_refusal(text: str, grammar: Grammar) -> None:
    with suppress(UsageError):
        assert all(isinstance(one, Clause) for one in parse_filter(text, grammar))
    with suppress(UsageError):
        assert isinstance(parse_order(text, grammar), Sorting)


# Each is read in no time, or not before the tests end.
@pytest.mark.parametrize(
    "written",
    [
        "tags.a='" + r"\'" * 50_000,
        "'" * 200_000,
        "`" * 200_000,
        "a" * 200_000,
        "a." * 100_000,
        "1" * 200_000,
        "1." * 100_000,
        "a in (" + "'x" * 90_000,
        "a" + " " * 190_000 + "x",
        "a not" + " " * 190_000 + "in",
        "a in (" * 30_000,
    ],
    ids=range(11),
)
def test_a_text_made_to_be_hard_is_not(written: str) -> None:
    for read in (parse_filter, parse_order):
        with suppress(UsageError):
            read(written, RUNS)


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("metrics.acc DESC", Sorting("metric", "acc", ascending=False)),
        ("metrics.`val/loss`", Sorting("metric", "val/loss", ascending=True)),
        ('params."a b" asc', Sorting("parameter", "a b", ascending=True)),
        ("Created desc", Sorting("attribute", "start_time", ascending=False)),
        ("tags.x ASC", Sorting("tag", "x", ascending=True)),
    ],
)
def test_an_order_is_read(written: str, read: Sorting) -> None:
    assert parse_order(written, RUNS) == read


@pytest.mark.parametrize(
    ("written", "message"),
    [
        ("", "Invalid order_by clause ''. Could not be parsed."),
        ("metrics.a desc x", "Invalid order_by clause 'metrics.a desc x'. Could not be parsed."),
        ("run_name asc, start_time", "Invalid order_by clause 'run_name asc, start_time'. Could not be parsed."),
        ("params.x foo", "Invalid ordering key in order_by clause 'params.x foo'."),
        ("acc desc", "Invalid attribute key 'acc' specified."),
    ],
)
def test_an_order_that_cannot_be_read_is_refused(written: str, message: str) -> None:
    with pytest.raises(UsageError) as refused:
        parse_order(written, RUNS)
    assert refused.value.message.startswith(message)
