"""Cutting one function out of a script: all that it needs, and nothing that trains."""

import ast
import textwrap
from typing import Any

import pytest

from holdfast.errors import CannotPackage
from holdfast.flow.bundle.carve import carve, check_importable

TRAINING = """
model = object()
print("training")
raise SystemExit("the script ran")
"""


def cut(source: str, name: str = "featurise") -> str:
    return carve(textwrap.dedent(source) + TRAINING, name, script="train.py")


def run(source: str, name: str = "featurise") -> Any:
    """The function, out of its cut, in a world where nothing else exists."""
    space: dict[str, Any] = {"__name__": "train_preprocessing"}
    exec(compile(cut(source, name), "<cut>", "exec"), space)  # noqa: S102 - our own text
    return space[name]


def test_the_function_comes_with_all_that_it_reaches_and_nothing_that_trains() -> None:
    source = '''
        """Trains."""
        import math
        import sys
        from json import dumps as to_text

        RATE = 2.5
        UNUSED = 7

        def scaled(value):
            return round_up(value * RATE)

        def round_up(value):
            return math.ceil(value)

        def unrelated():
            return sys.argv

        def featurise(rows):
            return [to_text(scaled(row)) for row in rows]
    '''
    assert run(source)([1, 2]) == ["3", "5"]
    text = cut(source)
    for absent in ("UNUSED", "unrelated", "import sys", "print", "Trains"):
        assert absent not in text


def test_decorators_defaults_and_annotations_are_reached() -> None:
    source = """
        import functools
        from typing import Any as Anything

        START = 10
        KIND = int

        def twice(function):
            @functools.wraps(function)
            def call(rows, *, start=START):
                return function(function(rows, start), start)
            return call

        @twice
        @functools.lru_cache(
            maxsize=None,
        )
        def featurise(rows: KIND, start=START) -> Anything:
            return rows + start
    """
    assert run(source)(1) == 21


def test_locals_that_share_their_names_with_the_scripts_globals_are_left_alone() -> None:
    source = """
        frame = open("/nowhere")
        rows = frame.read()
        total = fit(rows)

        def featurise(rows):
            total = 0
            def inner():
                frame = [row for row in rows]
                return frame
            class Holder:
                frame = 3
            for total in inner():
                pass
            return [total for total in inner()], Holder.frame
    """
    assert run(source)([1, 2]) == ([1, 2], 3)
    assert "open" not in cut(source)


def test_a_name_that_only_an_inner_function_or_class_reads_is_reached() -> None:
    source = """
        LIMIT = 3
        class Base:
            limit = LIMIT
        OTHER = 4

        def featurise(rows):
            class Inner(Base):
                def deep(self):
                    return [(lambda: OTHER)() + self.limit for _ in rows]
            return Inner().deep()
    """
    assert run(source)([0]) == [7]


def test_a_name_that_a_function_declares_global_is_reached() -> None:
    source = """
        CACHE = None

        def featurise(rows):
            global CACHE
            if CACHE is None:
                CACHE = len(rows)
            return CACHE
    """
    assert run(source)([1]) == 1


@pytest.mark.parametrize(
    "constant",
    [
        "X = 3", "X = -1.5e3", "X = 'a b'.split()", "X = {'a': [1, 2]}", "X = [n * 2 for n in range(3)]", "X: int = 3",
        "X = frozenset({'a'})", "X = re.compile('a+', re.IGNORECASE)", "X = dict(a=1)", "X = tuple(sorted([3, 1]))",
        "X = lambda value: value.strip()", "X = logging.getLogger(__name__)", "X = namedtuple('X', 'a b')",
        "BASE = ['a']\nX = BASE + ['b']", "BASE = 'a b'\nX = BASE.split()", "X = []\nX += [1]", "X = Y = 3",
        "X, Y = 1, 2", "(X, [Y, *Z]) = (1, [2, 3])", "X = datetime.timedelta(days=3)", "X = Decimal('1.5')",
        "if True:\n    X = 1\nelse:\n    X = 2", "X = np.array([1.0, 2.0])", "X = max(3, 4) if len('ab') else 0",
        "try:\n    import json as X\nexcept ImportError:\n    X = None", "class X:\n    '''A class.'''\n    size = 3",
        "from math import *\nX = 3", "X = 1; Y = 2", "X: int\nX = 3", "X = f'{3:.2f}'", "X = not_yet = ...",
        "X = defaultdict(lambda: open)", "if 3 > 2:\n    def X():\n        return 1",
    ],
)  # fmt: skip
def test_a_constant_is_carried(constant: str) -> None:
    imports = (
        "import datetime, logging, re\nimport numpy as np\n"
        "from collections import defaultdict, namedtuple\nfrom decimal import Decimal\n"
    )
    source = f"{imports}{constant}\ndef featurise(rows):\n    return X\nraise SystemExit\n"
    space: dict[str, Any] = {"__name__": "cut"}
    exec(carve(source, "featurise", script="train.py"), space)  # noqa: S102 - our own text
    space["featurise"]([])


@pytest.mark.parametrize(
    "computed",
    [
        "X = fit(3)", "X = open('x').read()", "X = model.coef_.copy()", "X = json.load(open('x'))",
        "X = Path('x').read_text()",
        "for X in range(3):\n    pass", "with open('x') as X:\n    pass", "import json\nX = json.loads('3')",
        "X = [fit(n) for n in range(3)]",
        "X = 3\nX = fit(X)", "X = []\nX += fit(3)", "BASE = fit(3)\nX = BASE + 1", "BASE = fit(3)\nX = BASE.split()",
        "if fit(3):\n    X = 1", "if True:\n    X = fit(3)", "try:\n    X = fit(3)\nfinally:\n    pass",
        "X = (Y := fit(3))",
        "if __name__ == '__main__':\n    X = 3", "while True:\n    X = 3\n    break", "X = os.environ['HOME'].lower()",
        "X = 3\ndel X", "def maker():\n    return 3\nX = maker()", "X = input()", "X = print",
        "import random\nX = random.random()",
    ],
)  # fmt: skip
def test_a_name_that_the_script_computes_is_refused_with_its_line(computed: str) -> None:
    source = f"import os\nfrom pathlib import Path\n{computed}\ndef featurise(rows):\n    return X\n"
    if computed == "X = print":
        assert "X = print" in carve(source, "featurise", script="train.py")
        return
    with pytest.raises(CannotPackage, match=r"which train\.py computes while it runs") as error:
        carve(source, "featurise", script="train.py")
    assert error.value.hint
    assert "featurise needs `" in error.value.message


def test_a_computed_default_or_decorator_is_refused_too() -> None:
    for needs in ("def featurise(rows, scaler=scaler):", "@scaler.wrap\ndef featurise(rows):"):
        with pytest.raises(CannotPackage, match="scaler = Scaler"):
            carve(f"scaler = Scaler().fit(3)\n{needs}\n    return rows\n", "featurise", script="train.py")


def test_what_nobody_needs_may_compute_whatever_it_likes() -> None:
    source = "import os\nx = fit(3)\nfor y in x:\n    z = y()\ndef featurise(rows):\n    return rows\n"
    assert carve(source, "featurise", script="train.py") == "def featurise(rows):\n    return rows\n"


@pytest.mark.parametrize(
    "source",
    ["x = 3", "class featurise: pass", "if True:\n    def featurise(rows): pass", "featurise = lambda rows: rows",
     "def outer():\n    def featurise(rows): pass", "async def featurise(rows): pass", "featurise = outer(3)"],
)  # fmt: skip
def test_a_function_that_is_not_at_the_top_level_is_not_found(source: str) -> None:
    with pytest.raises(CannotPackage, match=r"not a function at the top level of train\.py"):
        carve(source, "featurise", script="train.py")


def test_the_future_comes_first_and_once_and_stars_stay() -> None:
    text = cut("""
        from __future__ import annotations
        from math import *
        from os import path

        def featurise(rows: NotThere) -> NotThere:
            return floor(rows)
    """)
    assert text.startswith("from __future__ import annotations\n")
    assert text.count("__future__") == 1
    assert "from math import *" in text
    assert "path" not in text
    assert run(text)(1.5) == 1


def test_imports_behind_try_and_if_are_found() -> None:
    source = """
        import sys
        try:
            import not_there_at_all as json
        except ImportError:
            import json
        if sys.version_info >= (3, 0):
            from math import ceil as up
        else:
            up = None

        def featurise(rows):
            return json.dumps([up(row) for row in rows])
    """
    assert run(source)([1.5]) == "[2]"


def test_a_function_that_is_defined_twice_is_the_last_one() -> None:
    assert run("def featurise(rows):\n    return 1\ndef featurise(rows):\n    return 2\n")([]) == 2


def test_text_that_is_not_ascii_is_cut_where_it_should_be() -> None:
    source = (
        "ÄRGER = 'ü€😀'; WORT = 'é'\n\n@staticmethod\ndef andere(): pass\n\n"
        "def featurise(rows): return [ÄRGER + WORT]\n"
    )
    assert run(source)([]) == ["ü€😀é"]


def test_a_cut_is_the_same_every_time_and_cutting_it_again_changes_nothing() -> None:
    source = "A = 1\nB = 2\nC = 3\ndef featurise(rows):\n    return A, B, C\nprint(3)\n"
    once = cut(source)
    assert once == cut(source)
    assert cut(once) == once
    ast.parse(once)


def top_level(rows: Any) -> Any:
    return rows


class Holder:
    @staticmethod
    def static(rows: Any) -> Any:
        return rows

    def method(self, rows: Any) -> Any:
        return rows


def closure(by: int) -> Any:
    def inner(rows: Any) -> Any:
        return rows * by

    return inner


hidden = closure(3)
hidden.__qualname__ = "top_level"


def test_what_can_be_found_again_by_its_name_is_let_through() -> None:
    check_importable(top_level, "top_level")
    check_importable(Holder.static, "Holder.static")
    check_importable(len, "len")


@pytest.mark.parametrize(
    "function", [lambda rows: rows, closure(2), hidden, Holder().method, __import__("functools").partial(top_level, 1)]
)
def test_what_cannot_be_found_again_by_its_name_is_refused(function: Any) -> None:
    with pytest.raises(CannotPackage) as error:
        check_importable(function, "this")
    assert "top level of a module" in error.value.hint
