"""The reader of documents itself: what it takes for a block, for a command, and for the same output."""

from pathlib import Path

import pytest

from tests.docs.blocks import Block, Reader, Shown, absent, blocks, indented_commands, matches, shown

TEXT = """\
# Title

<!-- test: skip needs a network -->
```console
$ one
```

```python
print(1)
```
<!-- test: file a/b.py -->

```python
x = 1

y = 2
```

<!-- test: background -->
Prose in between takes the comment away.

```sh
true
```
"""


def test_blocks_come_with_their_directives_and_lines() -> None:
    assert list(blocks(TEXT)) == [
        Block(4, "console", "$ one\n", "skip", "needs a network"),
        Block(8, "python", "print(1)\n"),
        Block(13, "python", "x = 1\n\ny = 2\n", "file", "a/b.py"),
        Block(22, "sh", "true\n"),
    ]


@pytest.mark.parametrize("text", ["<!-- test: skipp x -->\n```sh\n```\n", "```sh\nnever closed\n"])
def test_a_mistake_in_a_document_is_not_passed_over(text: str) -> None:
    with pytest.raises(ValueError, match="line 1"):
        list(blocks(text))


def test_commands_outside_a_fence_are_seen() -> None:
    text = (
        "Say:\n\n    holdfast list\n\n```console\n$ holdfast list\n    holdfast in the output\n```\n\n    version = 1\n"
    )
    assert indented_commands(text) == ["    holdfast list"]


def test_commands_and_what_they_print() -> None:
    assert shown("$ a\n$ b \\\n>   c\nprinted\n\nmore\n$ d\nerror: no\n") == [
        Shown("a"),
        Shown("b \\\n  c", ("printed", "", "more")),
        Shown("d", ("error: no",)),
    ]
    assert [one.fails for one in shown("$ a\nok\n$ b\nerror: no\n")] == [False, True]
    with pytest.raises(ValueError, match="what prints this"):
        shown("printed\n$ a\n")


@pytest.mark.parametrize(
    ("expected", "printed"),
    [
        ([], ""),
        (["a"], "a\n"),
        (["a", "…", "d"], "a\nb\nc\nd\n"),
        (["a", "…", "d"], "a\nd\n"),
        (["…"], ""),
        (["…"], "anything\nat all\n"),
        (["a … d"], "a b c d"),
        (["by … event"], "by    event"),
        (["sha256:…"], "sha256:0123456789abcdef\n"),
        (["sha256:e7072e193e93  end"], "sha256:0123456789ab  end\n"),
        (["sha256:e7072e193e93…"], f"sha256:{'0' * 64}\n"),
        (["run 0123456789abcdef0123456789abcdef"], "run ffffffffffffffffffffffffffffffff"),
        (["since 2026-11-21T00:21:24.183480Z by ana"], "since 2031-01-02T03:04:05Z by ana"),
        (["at 2026-11-21 00:21:24"], "at 2031-01-02 03:04:05"),
        (["p95 2.45 ms (2.41 to 2.55), 100 ms allowed"], "p95 12 ms (1.1 to 20), 100 ms allowed"),
        (["took 45 s"], "took 158.2 s"),
        (["replica http://127.0.0.1:8093 serves @3"], "replica http://127.0.0.1:41129 serves @3"),
        (["4911 requests: 4255 by version 1"], "17 requests: 3 by version 1"),
        (["name   by     hash"], "name        by  hash"),
        (["  indented"], "  indented  "),
        (["(a) [b] * + ? ^ $ |"], "(a) [b] * + ? ^ $ |"),
    ],
)
def test_the_same_output_is_recognised(expected: list[str], printed: str) -> None:
    assert matches(expected, printed)


@pytest.mark.parametrize(
    ("expected", "printed"),
    [
        ([], "a"),
        (["a"], ""),
        (["a"], "a\nb"),
        (["a", "b"], "b\na"),
        (["a", "…", "d"], "a\nb\nc"),
        (["a … d"], "a b c"),
        (["f1 0.9647"], "f1 0.9646"),
        (["event 3"], "event 4"),
        (["serves @3"], "serves @1"),
        (["indented"], "  indented"),
        (["0 dropped, 0 mixed"], "1 dropped, 0 mixed"),
        (["ab"], "a b"),
        (["a … b"], "ab"),
        (["a.c"], "abc"),
    ],
)
def test_another_output_is_not(expected: list[str], printed: str) -> None:
    assert not matches(expected, printed)


def test_an_excerpt_is_found_in_its_order() -> None:
    printed = "one\ntwo\nthree 3 s\nfour\n"
    assert absent(["one", "…", "three 9 s", ""], printed) == []
    assert absent(["three 9 s", "one"], printed) == ["one"]
    assert absent(["five"], printed) == ["five"]


@pytest.fixture
def reader(tmp_path: Path) -> Reader:
    for name in ("home", "folder"):
        (tmp_path / name).mkdir()
    return Reader(tmp_path / "folder", tmp_path / "home")


def test_a_reader_stays_where_a_command_went_and_keeps_what_it_exported(reader: Reader, tmp_path: Path) -> None:
    (tmp_path / "folder/below").mkdir()
    reader.follow(Block(1, "console", "$ cd below\n$ export A='b  c'\n$ echo \"$A\" > file\n$ cat file\nb c\n"))
    reader.follow(Block(9, "console", "$ basename $PWD; echo $HOME\nbelow\n…/home\n"))
    assert (tmp_path / "folder/below/file").read_text() == "b  c\n"


def test_a_reader_writes_files_and_runs_programs_and_scripts(reader: Reader, tmp_path: Path) -> None:
    reader.follow(Block(1, "python", "x = 1\n", "file", "a/b.py"))
    reader.follow(Block(5, "sh", "test -f a/b.py\ntouch here\n"))
    reader.follow(Block(9, "python", "import pathlib\npathlib.Path('there').touch()\n"))
    reader.follow(Block(9, "toml", "[x]\n"))
    reader.follow(Block(9, "console", "$ exit 1\n", "skip", "never"))
    assert {path.name for path in (tmp_path / "folder").iterdir()} == {"a", "here", "there"}


@pytest.mark.parametrize(
    "block",
    [
        Block(1, "console", "$ false\n"),
        Block(1, "console", "$ echo a\nb\n"),
        Block(1, "console", "$ echo a\n"),
        Block(1, "console", "$ echo 'error: x'\nerror: x\n"),
        Block(1, "console", "$ exit 3\n"),
        Block(1, "sh", "false\ntrue\n"),
        Block(1, "python", "raise SystemExit(1)\n"),
        Block(1, "console", "$ no-such-program\n", "background"),
    ],
)
def test_a_reader_notices_when_a_document_is_wrong(reader: Reader, block: Block) -> None:
    with pytest.raises(AssertionError), reader.reading():
        reader.follow(block)


def test_a_failure_that_is_shown_is_no_mistake(reader: Reader) -> None:
    reader.follow(Block(1, "console", "$ echo 'error: no' >&2; exit 12\nerror: no\n"))


def test_what_runs_in_the_background_is_ended_with_the_document(reader: Reader, tmp_path: Path) -> None:
    with reader.reading():
        reader.follow(Block(1, "console", "$ sleep 600\n", "background"))
        (process,) = reader._started
        assert process.poll() is None
    assert process.poll() is not None
