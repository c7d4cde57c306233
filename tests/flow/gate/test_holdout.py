"""`holdout` says what became of the rows of the version that holds the stage, and how often these were used."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.canonical import Json
from holdfast.digest import hash_bytes
from holdfast.errors import HoldfastError, InvalidInput, NotFound
from holdfast.evidence import Holdout
from holdfast.flow.gate.finding import Finding, Outcome
from holdfast.flow.gate.former import Former, compared
from holdfast.flow.gate.holdout import holdout
from holdfast.manifest import FileEntry, Manifest
from holdfast.names import RelativePath, VersionNumber
from holdfast.runtime.pipeline import Answer
from holdfast.runtime.rows import Table, write_table
from holdfast.runtime.smoke import write_outputs
from holdfast.store.memory import MemoryStore
from tests.flow.gate.cases import NUMBERS, RIGHT, case, manifest, said, version, wrong_at

SAME = Former(hash_bytes(b"rows"), 100, 0, 0)


def judged(former: Former | HoldfastError | None, *, used: int = 0, **changes: Any) -> Finding:
    before = tuple(VersionNumber(number + 10) for number in range(used))
    return holdout(replace(case(RIGHT, RIGHT, **changes), former=former, judged_before=before))


def left_out(mine: list[Json], theirs: list[Json], targets: list[Json]) -> Former:
    return replace(SAME, gone=len(targets), targets=tuple(targets), mine=said(mine), theirs=said(theirs))


def test_the_same_rows_pass_and_it_is_told_how_often_they_were_used() -> None:
    finding = judged(SAME, used=3)
    assert finding.outcome is Outcome.PASS
    assert (
        finding.sentence
        == "the same 100 rows as those of version 1; 3 other versions judged on these rows before, of 50"
    )
    assert finding.values["chance_of_a_lucky_one"] == pytest.approx(1 - 0.95**4)


def test_rows_that_were_used_too_often_are_worn_out() -> None:
    assert judged(SAME, used=49).outcome is Outcome.PASS
    finding = judged(SAME, used=50)
    assert finding.outcome is Outcome.INCONCLUSIVE
    assert "freshly drawn rows" in finding.hint
    assert judged(SAME, used=2, holdout_uses_max=2).outcome is Outcome.INCONCLUSIVE


def test_other_rows_are_told_and_refused_only_where_policy_asks_for_the_same() -> None:
    changed = replace(SAME, gone=4, new=7, columns_new=("plan",))
    finding = judged(changed)
    assert finding.outcome is Outcome.PASS
    assert finding.sentence.startswith(
        "of the 100 rows of version 1, 4 are gone, and 7 are new; columns new: plan; 0 other"
    )
    assert judged(changed, holdout="same").outcome is Outcome.INCONCLUSIVE
    assert judged(SAME, holdout="same").outcome is Outcome.PASS


def test_rows_left_out_on_which_the_candidate_is_worse_want_a_look() -> None:
    truth: list[Json] = RIGHT[:40]
    bad = left_out(wrong_at(*range(30), targets=truth), wrong_at(1, targets=truth), truth)
    finding = judged(bad)
    assert finding.outcome is Outcome.INCONCLUSIVE
    assert "on the 40 that are gone accuracy is 0.2500 against 0.9750: rows were left out" in finding.sentence
    good = judged(left_out(truth, wrong_at(1, targets=truth), truth))
    assert good.outcome is Outcome.PASS
    assert "accuracy is 1.0000 against 0.9750" in good.sentence


def test_errors_on_rows_left_out_are_judged_as_shares_of_the_other_ones_errors() -> None:
    truth: list[Json] = [float(n) for n in range(60)]
    near: list[Json] = [value + 1.0 + 0.01 * (place % 5) for place, value in enumerate(truth)]
    far: list[Json] = [value + 2.0 + 0.01 * (place % 7) for place, value in enumerate(truth)]
    asked: dict[str, Any] = {"targets": truth, "threshold": NUMBERS, "primary": "mean_absolute_error"}

    def outcome(mine: list[Json], theirs: list[Json]) -> Outcome:
        return holdout(replace(case(near, near, **asked), former=left_out(mine, theirs, truth))).outcome

    assert outcome(far, near) is Outcome.INCONCLUSIVE
    assert outcome(near, far) is Outcome.PASS
    words = replace(left_out(near, near, truth), mine=Answer(["one"] * 60, [0.0] * 60, None))
    finding = holdout(replace(case(near, near, **asked), former=words))
    assert finding.outcome is Outcome.PASS
    assert "its answers are of another kind" in finding.sentence


def test_rows_that_the_candidate_cannot_answer_are_told() -> None:
    trouble = InvalidInput("the rows have no column 'plan'", hint="")
    former = replace(SAME, gone=2, targets=(1, 0), theirs=said([1, 0]), trouble=trouble)
    assert "it could not be asked: the rows have no column 'plan'" in judged(former).sentence


def test_without_a_holdout_to_compare_with_it_says_so() -> None:
    assert holdout(case(RIGHT)).outcome is Outcome.PASS
    assert judged(NotFound("lost", hint="")).outcome is Outcome.INCONCLUSIVE
    assert judged(None).outcome is Outcome.INCONCLUSIVE
    half = replace(version(1), complete=False, missing=("holdout",))
    assert holdout(replace(case(RIGHT, RIGHT), baseline=half)).outcome is Outcome.PASS
    assert holdout(replace(case(RIGHT), rows=None)).outcome is Outcome.INCONCLUSIVE


def frozen(table: Table) -> tuple[MemoryStore, Manifest]:
    """A version whose holdout is this table, and which answers each row with its number."""
    store = MemoryStore()
    files = {
        "holdout/outputs.json": write_outputs(Answer([*range(table.count)], [*range(table.count)], None)),
        "holdout/rows.json": write_table(table),
    }
    with store.writer() as writer:
        stored = {path: writer.add_bytes(data) for path, data in files.items()}
        writer.commit()
    entries = tuple(FileEntry(RelativePath(path), one.digest, one.size) for path, one in sorted(stored.items()))
    kept = {str(entry.path): entry for entry in entries}
    rows, outputs = (RelativePath(path) for path in ("holdout/rows.json", "holdout/outputs.json"))
    known = manifest(holdout=Holdout(rows, outputs, table.count, "y"))
    return store, replace(known, files=tuple(kept.get(str(entry.path), entry) for entry in known.files))


def echo(table: Table) -> Answer:
    return Answer([*table.column("x")], [*table.column("x")], None)


ROWS = st.lists(st.tuples(st.integers(0, 4), st.integers(0, 1)), min_size=1, max_size=12)


@given(ROWS, ROWS, st.data())
def test_rows_are_counted_as_often_as_they_stand_and_their_order_means_nothing(
    before: list[tuple[int, int]], now: list[tuple[int, int]], data: st.DataObject
) -> None:
    old = Table.of_columns(("x", "y"), [list(column) for column in zip(*before, strict=True)])
    store, known = frozen(old)
    mixed = data.draw(st.permutations(now))
    candidate = Table.of_columns(("y", "x"), [[float(y) for _, y in mixed], [float(x) for x, _ in mixed]])
    found = compared(store, known, candidate, echo)
    gone = list(before)
    for row in now:
        if row in gone:
            gone.remove(row)
    assert found.gone == len(gone)
    assert found.new == len(now) - (len(before) - len(gone))
    if gone:
        assert found.mine is not None
        assert found.theirs is not None
        assert sorted(zip(found.mine.predictions, found.targets or (), strict=True)) == sorted(gone)
        assert [old.column("x")[int(str(place))] for place in found.theirs.predictions] == found.mine.predictions


def test_rows_are_compared_by_the_columns_that_both_have() -> None:
    store, known = frozen(Table.of_columns(("x", "old", "y"), [[1, 2], [[1], {"a": 1}], [0, 1]]))
    candidate = Table.of_columns(("x", "y", "new"), [[2, 1], [1, 0], ["a", "b"]])
    found = compared(store, known, candidate, echo)
    assert (found.gone, found.new, found.columns_gone, found.columns_new) == (0, 0, ("old",), ("new",))
