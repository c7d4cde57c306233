"""No attack comes out as harmless, and what it would import is named."""

import pickle
import zlib

import pytest

from holdfast.formats import Budget, Standing, scan
from holdfast.formats.limits import Refused
from tests.formats.attacks import ATTACKS, CALL, zipped


@pytest.mark.parametrize("attack", ATTACKS)
@pytest.mark.parametrize("name", ["model.joblib", "rows.csv", "picture.png"])
def test_an_attack_is_neither_data_nor_allowed_whatever_it_is_called(attack: str, name: str) -> None:
    found = scan(ATTACKS[attack], name)
    assert found.standing in {Standing.CODE, Standing.UNREADABLE}
    assert found.refused or found.reasons


@pytest.mark.parametrize(
    ("attack", "name"),
    [
        ("called", "os.system"),
        ("made an instance", "os.system"),
        ("made an instance of the first", "os.system"),
        ("made new", "os.system"),
        ("given as a state", "os.system"),
        ("by getattr", "builtins.getattr"),
        ("under a name of Python 2", "subprocess.getoutput"),
        ("out of the memo", "os.system"),
        ("bytes that are a pickle", "os.system"),
        ("bytes that are a compressed pickle", "os.system"),
        ("a second pickle", "os.system"),
        ("a protocol that changes", "os.system"),
        ("compressed twice", "os.system"),
        ("in an archive under another name", "os.system"),
        ("in an archive in an archive", "os.system"),
        ("a call where references belong", "os.system"),
        ("references in an archive of arrays", "posix.system"),
        ("a picture that is a pickle", "os.system"),
        ("held but called", "numpy.mean"),
    ],
)
def test_the_name_that_would_be_imported_is_told(attack: str, name: str) -> None:
    found = scan(ATTACKS[attack], "model.joblib")
    assert name in found.refused
    assert found.standing is Standing.CODE


def test_whether_a_name_is_called_is_told() -> None:
    assert [one.called for one in scan(CALL, "x").imports] == [True]
    assert [one.called for one in scan(b"cos\nsystem\n.", "x").imports] == [False]


def test_more_instructions_than_any_model_needs_are_not_followed() -> None:
    found = scan(b"N0" * 600 + b".", "x", budget=Budget(opcodes=1000))
    assert (found.standing, found.reasons) == (
        Standing.UNREADABLE,
        ("as a pickle, it has more instructions than any model needs",),
    )


@pytest.mark.parametrize(
    "bomb",
    [zlib.compress(bytes(10_000_000)), zipped({"a": bytes(10_000_000)}, 8), zlib.compress(zlib.compress(bytes(10**7)))],
)
def test_what_unpacks_to_too_much_is_not_unpacked(bomb: bytes) -> None:
    found = scan(bomb, "x", budget=Budget(expanded_bytes=1_000_000))
    assert found.standing is Standing.UNREADABLE
    assert any("more bytes than any model needs" in why for why in found.reasons)


def test_the_budget_is_for_all_that_is_nested() -> None:
    budget = Budget(expanded_bytes=100)
    budget.expand(60)
    with pytest.raises(Refused):
        budget.expand(60)


def test_a_name_out_of_a_file_is_shown_without_what_a_terminal_obeys() -> None:
    found = scan(b"\x80\x04\x8c\x02os\x8c\x08\x1b[2J\xe2\x80\xaea\x93.", "x")
    assert found.refused == ("os.\N{REPLACEMENT CHARACTER}[2J\N{REPLACEMENT CHARACTER}a",)


def test_a_ladder_of_nested_files_ends() -> None:
    data = pickle.dumps(1)
    for _ in range(20):
        data = zlib.compress(data)
    assert scan(data, "x").standing is Standing.UNREADABLE


def test_a_ladder_of_doubled_tuples_costs_no_memory() -> None:
    ladder = b"\x80\x02N" + b"2\x86" * 50_000 + b"."
    assert scan(ladder, "x").standing is Standing.DATA
