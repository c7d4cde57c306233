"""Every block of commands in the README, the tutorial and the how-to guides does what it shows."""

import os
from pathlib import Path

import pytest

from tests.commands import clean, holdfast
from tests.docs.blocks import RUN, Block, Reader, absent, blocks, indented_commands, shown
from tests.patience import PATIENCE_SECONDS

ROOT = Path(__file__).parents[2]
DOCUMENTS = [ROOT / "README.md", ROOT / "docs/tutorial.md", *sorted((ROOT / "docs/how-to").glob("*.md"))]

NEVER_RUN = {
    "git clone": "whoever reads this has the clone",
    "make test": "it would run this very test",
}
"""Commands of the README that no test runs, and why. `make demo` runs `holdfast demo`, and so does a test below."""


def named(path: Path) -> str:
    return str(path.relative_to(ROOT))


def blocks_of(document: Path) -> list[Block]:
    return list(blocks(document.read_text(encoding="utf-8")))


LONG_SECONDS = 6 * PATIENCE_SECONDS
"""For what a person follows for minutes: a document of many commands, and the demonstration."""

SKIPPED = [(document, block) for document in DOCUMENTS for block in blocks_of(document) if block.directive == "skip"]


@pytest.mark.slow
@pytest.mark.timeout(LONG_SECONDS)
@pytest.mark.parametrize("document", DOCUMENTS, ids=named)
def test_every_block_does_what_the_document_shows(document: Path, tmp_path: Path) -> None:
    folder, home = tmp_path / "project", tmp_path / "home"
    folder.mkdir()
    home.mkdir()
    with Reader(folder, home).reading() as reader:
        for block in blocks_of(document):
            reader.follow(block)


@pytest.mark.parametrize("document", DOCUMENTS, ids=named)
def test_commands_stand_in_blocks_that_are_run(document: Path) -> None:
    assert indented_commands(document.read_text(encoding="utf-8")) == []
    plain = [block for block in blocks_of(document) if block.kind not in RUN and "$ " in block.text]
    assert plain == []


@pytest.mark.parametrize(("document", "block"), SKIPPED, ids=lambda value: getattr(value, "name", None))
def test_what_is_not_run_says_why(document: Path, block: Block) -> None:
    assert len(block.argument) > 10, f"{named(document)}:{block.line} is not run, and does not say why"
    pytest.skip(f"{named(document)}:{block.line} is not run: {block.argument}")


def test_the_readme_begins_with_the_commands_that_are_known_here() -> None:
    first = next(block for block in blocks_of(ROOT / "README.md") if block.kind == "console")
    commands = [one.command for one in shown(first.text)]
    own = [command for command in commands if not command.startswith("holdfast ")]
    assert [command for command in own if not command.startswith((*NEVER_RUN, "make demo"))] == []
    assert any(command.startswith("make demo") for command in own)


@pytest.mark.slow
@pytest.mark.timeout(LONG_SECONDS)
def test_make_demo_shows_what_the_readme_shows(tmp_path: Path) -> None:
    first = next(block for block in blocks_of(ROOT / "README.md") if block.kind == "console")
    excerpt = first.text.partition("$ make demo")[2].partition("$ make test")[0].splitlines()[1:]
    assert len([line for line in excerpt if line.strip() not in {"", "…"}]) > 5
    recipe = (ROOT / "Makefile").read_text().partition("\ndemo: ")[2].splitlines()[1]
    assert recipe.strip() == "@$(BIN)/holdfast demo $(ARGS)"
    environment = clean(os.environ, tmp_path)
    asked = ("demo", "--folder", str(tmp_path / "demo"))
    told = holdfast(*asked, folder=tmp_path, environment=environment, seconds_max=LONG_SECONDS - PATIENCE_SECONDS)
    assert told.code == 0, told
    assert absent(excerpt, told.out) == []
