"""docs/reference/search.md, held to the language that it describes."""

import re
from pathlib import Path

import pytest

from holdfast.registry import DEPTH_MAX, FACTS_MAX, FOUND_MAX, SPELLS_MAX
from holdfast.registry.searching import LANGUAGE, condition, parse
from holdfast.registry.walks import WALKED_MAX
from tests.docs.blocks import blocks

TEXT = (Path(__file__).parents[2] / "docs/reference/search.md").read_text(encoding="utf-8")

EXAMPLES = [line for block in blocks(TEXT) if block.kind == "filter" for line in block.text.splitlines()]


@pytest.mark.parametrize("example", EXAMPLES)
def test_every_example_is_a_filter(example: str) -> None:
    condition(parse(example)).compile()


def test_every_field_is_described_and_no_other() -> None:
    section = TEXT.partition("## Fields of versions")[2].partition("## Fields of runs")[0]
    rows = [line.split("|")[1] for line in section.splitlines() if line.startswith("| `")]
    described = {name for row in rows for name in re.findall(r"`([a-z]+)(?:\.[A-Z]+)?`", row)}
    families = {name for name in LANGUAGE.families if f"{name}s" not in LANGUAGE.families}
    assert described == families | set(LANGUAGE.attributes)


@pytest.mark.parametrize("limit", [FACTS_MAX, FOUND_MAX, SPELLS_MAX, DEPTH_MAX, WALKED_MAX, 16_384, 128, 32])
def test_limits_are_told(limit: int) -> None:
    assert f"{limit:,}" in TEXT.partition("## Limits")[2]
