"""Which names can be a file's, and that none of them leads anywhere else."""

from posixpath import normpath
from urllib.parse import quote, unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.errors import UsageError
from holdfast.experiments.paths import bounds, folders_of, safe_path

PIECES = st.sampled_from(
    ["..", ".", "a", "b c", "%2e%2e", "%252e.", "%2f", "%5c", "é", "", "%", "C:", "file:", "0", "-"]
)
PATHS = st.lists(PIECES, max_size=6).map("/".join) | st.text(max_size=30)


@pytest.mark.parametrize(
    "path",
    [
        *(
            "..",
            "a/../b",
            "a/..",
            "/etc/passwd",
            "//a",
            "a#b",
            "a\\b",
            "..\\a",
            "C:\\a",
            "C:/a",
            "file:///a",
            "file:a",
            "./%2f",
            "./file:a",
        ),
        *("%2e%2e/a", "a/%2e%2e%2fb", "%252e%252e/a", "%2fetc", "a%23b", "a%5cb", "a%00b", "a\x00b", "a\nb", "a\x7fb"),
        *("a\ufffdb", "x" * 1025, "\ud800", "%" + "25" * 20 + "2e%2e"),
    ],
)
def test_a_path_that_could_lead_elsewhere_is_refused_in_the_words_of_mlflow(path: str) -> None:
    with pytest.raises(UsageError) as raised:
        safe_path(path)
    assert raised.value.message == "Invalid path"


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ("3/run/artifacts/model/MLmodel", "3/run/artifacts/model/MLmodel"),
        ("a//b/./c/", "a/b/c"),
        ("", ""),
        (".", ""),
        ("100%.txt", "100%.txt"),
        ("images/a%step%1%timestamp%179%ff", "images/a%step%1%timestamp%179%ff"),
        ("a b+c&d=é.txt", "a b+c&d=é.txt"),
        ("...", "..."),
        ("a..b", "a..b"),
    ],
)
def test_other_paths_keep_their_names(path: str, found: str) -> None:
    assert safe_path(path) == found


@given(PATHS)
def test_no_path_leads_out_of_its_root_however_often_it_is_decoded(text: str) -> None:
    try:
        path = safe_path(text)
    except UsageError:
        return
    assert safe_path(path) == path
    for _ in range(10):
        whole = f"root/{path}"
        assert normpath(whole) == "root" or normpath(whole).startswith("root/")
        assert "\\" not in path
        assert not path.startswith("/")
        path = unquote(path)


@given(PATHS, st.sampled_from(["3/models", "3", "a"]))
def test_what_is_below_a_folder_stands_between_its_bounds_and_nothing_else_does(text: str, folder: str) -> None:
    try:
        path = safe_path(text)
    except UsageError:
        return
    low, high = bounds(folder)
    assert (low < path < high) is (path.startswith(f"{folder}/"))
    if path:
        assert low < f"{folder}/{path}" < high
        assert bounds("")[0] < path < bounds("")[1]


@given(PATHS)
def test_the_folders_of_a_path_end_with_itself(text: str) -> None:
    try:
        path = safe_path(quote(text))
    except UsageError:
        return
    if path:
        *above, last = folders_of(path)
        assert last == path
        assert all(path.startswith(f"{one}/") for one in above)
