"""The tables of docs/serving.md are those that its benchmark draws."""

import re
from pathlib import Path

import pytest

import canary_rollouts as benchmark
from holdfast.serving.judging import Outcome
from holdfast.statistics.detection import requests_to_detect

DOCUMENT = (Path(__file__).parents[2] / "docs" / "serving.md").read_text(encoding="utf-8")


def table(name: str) -> dict[str, list[str]]:
    found = re.search(rf"<!-- table: {name} -->\n(.*?)<!-- end -->", DOCUMENT, re.DOTALL)
    assert found
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in found[1].strip().splitlines()]
    return {row[0]: row[1:] for row in rows if not row[0].startswith("---")}


@pytest.mark.parametrize("share", benchmark.WATCHED_SHARES)
@pytest.mark.parametrize(("p0", "p1"), benchmark.REGRESSIONS)
def test_the_requests_to_detection_are_those_that_are_calculated(p0: float, p1: float, share: float) -> None:
    told = table("detection")[f"{p0:.1%} to {p1:.1%}, {share:.0%} of the requests"]
    for cell, part in zip(told[:2], (0.5, 0.9), strict=True):
        found = requests_to_detect(p0, p1, share, 0.01, part)
        assert found is not None
        assert cell == f"{found:,}"
    for calculated, simulated in zip(told[:2], told[2:], strict=True):
        assert float(calculated.replace(",", "")) == pytest.approx(float(simulated.replace(",", "")), rel=0.1)


def test_a_simulated_cell_drawn_again_is_the_one_in_the_document() -> None:
    found = benchmark.found_after(0.01, 0.5, 0.1, 0.01, benchmark.RUNS)
    assert table("detection")["1.0% to 50.0%, 10% of the requests"][2] == f"{sorted(found)[len(found) // 2]:,.0f}"
    names = table("false aborts")["errors of both"]
    cell = table("false aborts")["0.001"][names.index("10% at 0.01")]
    assert cell == benchmark.percent(benchmark.aborts(0.001, 0.1, 0.01, benchmark.RUNS))


def test_no_table_of_false_aborts_passes_its_level_by_more_than_chance() -> None:
    runs = {"false aborts": benchmark.RUNS, "harder cases": benchmark.RUNS // 4, "other guards": benchmark.RUNS // 4}
    for name, count in runs.items():
        (_, head), *rows = table(name).items()
        for told, cells in rows:
            if "one look" in told:
                continue
            for column, cell in zip(head, cells, strict=True):
                if "careless" not in column:
                    alpha = float(column.split()[-1])
                    assert float(cell.rstrip("%")) / 100 <= alpha + 3.5 * (alpha / count) ** 0.5, (name, told, column)


def test_what_is_judged_carelessly_is_aborted_for_nothing() -> None:
    for cells in table("harder cases").values():
        if cells[0].endswith("%"):
            assert float(cells[2].rstrip("%")) > 2 * float(cells[0].rstrip("%"))


def test_what_is_summed_with_numpy_is_what_replicas_sum() -> None:
    # Each of these holds its last look against the functions that replicas call, and fails where they differ.
    highest = benchmark.guards(0.1, 3, requests=600)
    assert set(highest) == {"latency", "scores", "all", "tolerated latency", "tolerated scores"}
    assert benchmark.moving_rates(0.05, 5)[1] == 1
    assert benchmark.sticky(0.05, 5)[0] <= 0.4
    assert benchmark.means(0.1, 0.05, 2) <= 0.5


def test_the_judge_aborts_what_is_worse_and_nothing_else() -> None:
    found = table("the judge")
    for truly in benchmark.TRUTHS:
        aborted, _, requests = found[truly.told]
        worse = truly in benchmark.TRUTHS[4:]
        assert float(aborted.rstrip("%")) >= 90 if worse else float(aborted.rstrip("%")) <= 8, truly.told
        assert bool(requests) == worse
    at_once = next(truly for truly in benchmark.TRUTHS if truly.failing == 0.5)
    assert benchmark.judged(benchmark.seeded("judged", at_once.told, 0), at_once)[0] is Outcome.ABORT


def test_tables_are_put_where_their_names_stand() -> None:
    made = [benchmark.Table("false aborts", ("a", "b"), (("1", "2"),))]
    found = benchmark.written("x\n<!-- table: false aborts -->\nold\n<!-- end -->\ny", made)
    assert found == "x\n<!-- table: false aborts -->\n| a | b |\n| --- | --: |\n| 1 | 2 |\n<!-- end -->\ny"
    with pytest.raises(ValueError, match="0 places"):
        benchmark.written("nothing", made)
