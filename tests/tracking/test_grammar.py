import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.errors import UsageError
from holdfast.tracking.grammar import Compare, Either, Every, Field, Not, Order, parse_filter, parse_order


def test_and_binds_closer_than_or() -> None:
    a, b, c = (Compare(Field("metric", name), ">", 1.0) for name in "abc")
    assert parse_filter("metrics.a > 1 and metrics.b > 1 or metrics.c > 1") == Either((Every((a, b)), c))
    assert parse_filter("metrics.a > 1 AND (metrics.b > 1 Or metrics.c > 1)") == Every((a, Either((b, c))))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("metrics.acc>=.5", Compare(Field("metric", "acc"), ">=", 0.5)),
        ("metrics.acc < -1e-3", Compare(Field("metric", "acc"), "<", -0.001)),
        ("params.model.layers-2/x = 3", Compare(Field("param", "model.layers-2/x"), "=", 3.0)),
        ("params.`two words` = 'a''b'", Compare(Field("param", "two words"), "=", "a'b")),
        ("tags.\"and\" like '%x_'", Compare(Field("tag", "and"), "like", "%x_")),
        ("name != ''", Compare(Field("attribute", "name"), "!=", "")),
        (
            "finished_at <= '2026-03-01T10:00+01:00'",
            Compare(Field("attribute", "finished_at"), "<=", "2026-03-01T09:00:00.000000Z"),
        ),
        ("", Every(())),
        ("   ", Every(())),
        ("tags.team = x", Compare(Field("tag", "team"), "=", "x")),
        ('tags.team = "it""s"', Compare(Field("tag", "team"), "=", 'it"s')),
        ("param.x = 1.2.3", Compare(Field("param", "x"), "=", "1.2.3")),
        ("metric.a in (1, 2)", Compare(Field("metric", "a"), "in", (1.0, 2.0))),
        (
            "params.a in (1, 'x')",
            Either((Compare(Field("param", "a"), "in", (1.0,)), Compare(Field("param", "a"), "in", ("x",)))),
        ),
        ("NOT metrics.a > 1", Not(Compare(Field("metric", "a"), ">", 1.0))),
        ("tags.a not in (x, y)", Not(Compare(Field("tag", "a"), "in", ("x", "y")))),
    ],
)
def test_a_filter_is_read_as_it_is_written(text: str, expected: object) -> None:
    assert parse_filter(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "metrics.accuracy",
        "metrics.accuracy >",
        "metrics.accuracy > 'high'",
        "metrics. > 1",
        'metrics."" > 1',
        "metrics.a => 1",
        "metrics.a > 1 metrics.b > 1",
        "metrics.a > 1 and",
        "and",
        "(metrics.a > 1",
        "metrics.a > 1)",
        "()",
        "accuracy > 1",
        "artifacts.x = 'y'",
        "tags.team = 3",
        "tags.team = and",
        "tags.team in ()",
        "tags.team in ('x' 'y')",
        "tags.team not = 'x'",
        "not",
        "not (not",
        "not " * 20 + "metrics.a > 1",
        "metrics.a in (" + ", ".join(["1"] * 129) + ")",
        "tags.team = 'x",
        "tags.team like 3",
        "params.x like 3",
        "params.x between 3",
        "params.x = (select 1)",
        "params.x = 1; drop table runs",
        "params.x = 'a'--",
        "name = 'x' or 1 = 1",
        "started_at > 'yesterday'",
        "name like '%%%%%%%%%'",
        "name = '" + "x" * 256 + "'",
        "params.x = '" + "x" * 5_000 + "'",
        "(" * 20 + "metrics.a > 1" + ")" * 20,
        " and ".join(["metrics.a > 1"] * 33),
        "\x00",
        "metrics.ä > 1",
    ],
)
def test_what_is_no_filter_is_refused_with_its_place(text: str) -> None:
    with pytest.raises(UsageError) as raised:
        parse_filter(text)
    assert 0 <= raised.value.details["place"] <= len(text)
    assert raised.value.hint


def test_an_order_is_read_as_it_is_written() -> None:
    assert parse_order("") == ()
    assert parse_order("metrics.acc desc, name ,params.`a b` asc") == (
        Order(Field("metric", "acc"), descending=True),
        Order(Field("attribute", "name"), descending=False),
        Order(Field("param", "a b"), descending=False),
    )


@pytest.mark.parametrize(
    "text", ["name,", ",name", "name name", "name down", "(select 1)", "1", "rowid", "name,name,name,name,name"]
)
def test_what_is_no_order_is_refused(text: str) -> None:
    with pytest.raises(UsageError):
        parse_order(text)


_WORDS = st.sampled_from(
    [
        "metrics.a",
        "params.b",
        "tags.`c d`",
        "name",
        "=",
        "!=",
        ">=",
        "like",
        "1.5",
        "'x'",
        "and",
        "or",
        "not",
        "in",
        "(",
        ")",
        ",",
        "'",
    ]
)


@given(st.one_of(st.text(max_size=80), st.lists(_WORDS, max_size=20).map(" ".join)))
def test_any_text_is_read_or_refused_and_nothing_else(text: str) -> None:
    for parse in (parse_filter, parse_order):
        try:
            parse(text)
        except UsageError:
            continue


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("metrcs.a > 1", "Did you mean metrics.a?"),
        ("statsu = 'x'", "Did you mean status?"),
        ("accuracy > 1", "Did you mean metrics.accuracy or params.accuracy?"),
        ("metrics.a == 1", "Did you mean =?"),
    ],
)
def test_a_slip_of_the_pen_is_answered_with_what_was_meant(text: str, hint: str) -> None:
    with pytest.raises(UsageError) as raised:
        parse_filter(text)
    assert raised.value.hint == hint
