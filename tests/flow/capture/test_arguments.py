import shlex
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.canonical import encode
from holdfast.flow.capture.arguments import parse_arguments, typed


@pytest.mark.parametrize(
    ("command", "found"),
    [
        ("python train.py --lr 0.1 --epochs=5 --shuffle", {"lr": 0.1, "epochs": 5, "shuffle": True}),
        ("python -u -X dev train.py --lr 0.1", {"lr": 0.1}),
        ("python -m jobs.train --lr 0.1", {"lr": 0.1}),
        ("uv run --with x python train.py --lr 0.1", {"lr": 0.1}),
        ("torchrun --nproc_per_node=4 train.py --lr 0.1", {"lr": 0.1}),
        ("train --lr 0.1", {"lr": 0.1}),
        ("./train.sh -l 0.1 -v", {"l": 0.1, "v": True}),
        ("python train.py --batch-size 32", {"batch_size": 32}),
        ("python train.py --offset -1 --scale -1e-3", {"offset": -1, "scale": -0.001}),
        ("python train.py --layers 64 128 64 --name a", {"layers": [64, 128, 64], "name": "a"}),
        ("python train.py --tag a --tag b", {"tag": ["a", "b"]}),
        ("python train.py model.depth=3 +opt.lr=1e-3", {"model.depth": 3, "opt.lr": 0.001}),
        ("python train.py --deep model=tree", {"deep": True, "model": "tree"}),
        ("python train.py --a true --b False --c none", {"a": True, "b": False, "c": "none"}),
        ("python train.py --a nan --b 007 --c 1_000 --d 12345678901234567890", None),
        ("python train.py -- --lr 0.1", {}),
        ("python train.py data/train.csv", {}),
        ("python train.py --lr", {"lr": True}),
        ("python -W ignore train.py --lr 0.1", {"lr": 0.1}),
        ("python -W ignore -c code --lr 0.1", {"lr": 0.1}),
        ("/venv/bin/python3.11 -W ignore /venv/bin/train --lr 0.1", {"lr": 0.1}),
        ("python -W error::UserWarning:a.py -m jobs.train --lr 0.1", {"lr": 0.1}),
        ("python -Wignore -OO -Xdev - --lr 0.1", {"lr": 0.1}),
        ("python -uc code -m --lr 0.1", {"m": True, "lr": 0.1}),
        ("python -cpass --lr 0.1", {"lr": 0.1}),
        ("python -Im jobs.train --lr 0.1", {"lr": 0.1}),
        ("python --check-hash-based-pycs never train --lr 0.1", {"lr": 0.1}),
        ("nohup python -W ignore train --lr 0.1", {"lr": 0.1}),
        ("train --language python --lr 0.1", {"language": "python", "lr": 0.1}),
        ("train python --lr 0.1", {"lr": 0.1}),
        ("python -W ignore", {}),
        ("python -i", {}),
        ("python", {}),
        ("", {}),
    ],
)
def test_the_command_line_gives_typed_values(command: str, found: dict[str, Any] | None) -> None:
    words = shlex.split(command)
    expected = {"a": "nan", "b": "007", "c": "1_000", "d": "12345678901234567890"} if found is None else found
    assert parse_arguments(words) == expected


def test_types_are_kept_apart() -> None:
    assert [type(typed(text)) for text in ("1", "1.0", "true", "x", "1e3")] == [int, float, bool, str, float]


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"]))))
def test_any_arguments_give_canonical_json(argv: list[str]) -> None:
    encode(parse_arguments(argv))


@given(st.integers(-(2**53) + 1, 2**53 - 1) | st.floats(allow_nan=False, allow_infinity=False))
def test_a_number_is_read_as_it_was_written(value: float) -> None:
    assert parse_arguments(["train.py", f"--x={value!r}"]) == {"x": value}
