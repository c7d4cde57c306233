"""The names that people type; above all those that nobody should."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.errors import UsageError
from holdfast.names import (
    ByDigest,
    ByNumber,
    BySemver,
    ByStage,
    ModelName,
    Reference,
    RelativePath,
    StageName,
    VersionNumber,
)

CHURN = ModelName("churn")


@pytest.mark.parametrize("text", ["churn", "a", "0a", "team.model-variant_2", "x" * 128, "9.9", "con"])
def test_a_name_is_lower_case_and_short(text: str) -> None:
    assert str(ModelName(text)) == text


@pytest.mark.parametrize(
    "text",
    [
        "", "Churn", "churn model", "../churn", "churn/4", "churn@4", ".churn", "-churn", "_churn", "x" * 129,
        "churn\n",
        "chürn", "4", "0", "007", "latest", "newest", "churn\x00", "churn%2f", "churn:1", "\u0661", "models:/churn",
    ],
)  # fmt: skip
def test_any_other_name_is_refused_with_what_to_do(text: str) -> None:
    for kind in (ModelName, StageName):
        with pytest.raises(UsageError) as error:
            kind(text)
        assert error.value.hint
        assert len(error.value.message) < 300


def test_a_stage_that_reads_as_a_semantic_version_could_never_be_asked_for() -> None:
    assert str(ModelName("1.2.3")) == "1.2.3"
    with pytest.raises(UsageError, match="semantic version"):
        StageName("1.2.3")
    assert StageName("1.2").text == "1.2"


@pytest.mark.parametrize(
    ("text", "choice"),
    [
        ("churn@4", ByNumber(VersionNumber(4))),
        ("churn@production", ByStage(StageName("production"))),
        ("churn@sha256:ab12cd34", ByDigest("sha256:ab12cd34")),
        ("churn@sha256:" + "a" * 64, ByDigest("sha256:" + "a" * 64)),
        ("churn@2.1.0", BySemver("2.1.0")),
        ("models:/churn/4", ByNumber(VersionNumber(4))),
        ("models:/churn/production", ByStage(StageName("production"))),
        ("models:/churn@production", ByStage(StageName("production"))),
    ],
)
def test_every_way_of_writing_a_version(text: str, choice: ByNumber | ByStage | ByDigest | BySemver) -> None:
    assert Reference.parse(text) == Reference(CHURN, choice)


@pytest.mark.parametrize(
    "text",
    [
        "", "@", "churn", "churn@", "@4", "models:/", "models:/churn", "models:/churn/", "models:/churn@",
        "models:churn/4",
        "churn@0", "churn@-1", "churn@04", "churn@ 4", "churn@4 ", "churn@4\n", "churn@1\u0663", "churn@9999999999",
        "churn@latest", "churn@newest", "churn@sha256:ab12", "churn@sha256:AB12CD34", "churn@sha256:" + "a" * 65,
        "churn@1.2.\u0663", "churn@a@b", "churn/4", "models:/churn/4/5",
        "models:/a/b@production", "../churn@4", "churn@../4", "Churn@4", "\U0001f600@4", "churn@\x00",
    ],
)  # fmt: skip
def test_what_names_no_version_is_refused(text: str) -> None:
    with pytest.raises(UsageError):
        Reference.parse(text)


def test_a_choice_cannot_be_made_of_anything_else() -> None:
    for wrong in (lambda: ByNumber(VersionNumber(0)), lambda: ByDigest("sha256:ab"), lambda: BySemver("1.2")):
        with pytest.raises(UsageError):
            wrong()


HOSTILE = [
    "", ".", "..", "/", "/abs", "//x", "../../x", "a/../../x", "a/..", "../x", "a/./b", "./a", "a/", "a//b", "a\\..\\x",
    "\\x", "a\\b", "C:\\x", "a\x00b", "a\nb", "a\rb", "a\x1bb", "a\x7fb", "x" * 5000, "x/" * 600 + "x", "\ud800",
    "a/\udfff",
    "é" * 513,
]  # fmt: skip


@pytest.mark.parametrize("text", HOSTILE, ids=lambda text: ascii(text)[:20])
def test_a_path_that_could_leave_its_folder_is_no_path(text: str) -> None:
    with pytest.raises(UsageError) as error:
        RelativePath(text)
    assert len(error.value.message) < 300


@pytest.mark.parametrize(
    "text", ["a", "a/b.csv", "...", "a/...b", "-x", " x", "é \U0001f600.txt", "x" * 1024, "a b/c", "~", "$HOME"]
)
def test_an_odd_path_that_stays_in_its_folder_is_one(text: str) -> None:
    assert str(RelativePath(text)) == text


@pytest.mark.parametrize(
    "text",
    [
        "CON", "con", "a/Nul", "aux.txt", "COM1", "com¹.log", "lpt9.tar.gz", "PRN ", "con .txt", "CONIN$", "a.",
        "a ", "a/b. /c",
        "...", "a:b", "a/b:stream", "what?.csv", "a*b", "a<b", "a>b", 'a"b', "a|b", "x" * 256, "a/" + "é" * 128,
        unicodedata.normalize("NFD", "café.csv"), "\u212b",
    ],
)  # fmt: skip
def test_a_path_that_some_platform_reads_otherwise_is_not_portable(text: str) -> None:
    path = RelativePath(text)
    with pytest.raises(UsageError):
        path.portable()


@pytest.mark.parametrize(
    "text", ["console", "a.con", "com10", "com", "café.csv", "é" * 127, "a b.c", ".hidden", "a..b"]
)
def test_a_path_that_only_looks_like_it_is_portable(text: str) -> None:
    assert RelativePath(text).portable() == RelativePath(text)


@given(st.text(max_size=40))
def test_any_path_that_is_accepted_stays_below_its_folder(text: str) -> None:
    try:
        path = RelativePath(text)
    except UsageError:
        return
    assert str(path) == text
    assert not text.startswith("/")
    assert all(segment not in {"", ".", ".."} for segment in text.split("/"))
