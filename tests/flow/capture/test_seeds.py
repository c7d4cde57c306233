import json
import random
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from holdfast.flow.capture import seeds as seeds_module
from holdfast.flow.capture.seeds import SeedWatch, set_seeds


@pytest.fixture
def watch() -> Iterator[SeedWatch]:
    """A watch that each test starts itself: the random-order plugin seeds between the fixtures and the test."""
    watch = SeedWatch()
    yield watch
    watch.stop()


def told(watch: SeedWatch) -> list[tuple[str, Any, int]]:
    return [(call["name"], call["value"], call["times"]) for call in watch.calls()]


def test_the_last_call_of_each_function_is_told_in_order(watch: SeedWatch) -> None:
    watch.start()
    np.random.seed(1)  # noqa: NPY002 - the old generator is what many training scripts seed
    random.seed(2)
    np.random.seed(3)  # noqa: NPY002
    assert told(watch) == [("random.seed", 2, 1), ("numpy.random.seed", 3, 2)]
    assert [call["order"] for call in watch.calls()] == [2, 3]


def test_the_wrapped_functions_do_what_the_originals_do(watch: SeedWatch) -> None:
    watch.start()
    random.seed(7)
    wrapped = random.random()
    watch.stop()
    random.seed(7)
    assert random.random() == wrapped
    assert random.seed.__name__ == "seed"


def test_every_original_is_back_after_the_stop() -> None:
    before = (random.seed, np.random.seed, np.random.default_rng, list(sys.meta_path))
    watch = SeedWatch()
    watch.start()
    assert random.seed is not before[0]
    watch.stop()
    assert (random.seed, np.random.seed, np.random.default_rng, list(sys.meta_path)) == before


def test_a_function_that_somebody_replaced_since_stays_theirs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(random, "seed", random.seed)
    watch = SeedWatch()
    watch.start()
    theirs = lambda seed: None  # noqa: E731 - a stand-in
    random.seed = theirs  # type: ignore[assignment]
    watch.stop()
    assert random.seed is theirs


@pytest.mark.parametrize(
    ("seed", "value"),
    [(None, None), (True, True), (np.int64(5), 5), (1.5, 1.5), ("seven", "'seven'"), (b"x", "b'x'")],
)
def test_any_seed_becomes_a_json_value(watch: SeedWatch, seed: Any, value: object) -> None:
    watch.start()
    random.seed(seed if not isinstance(seed, np.integer) else int(seed))
    assert told(watch) == [("random.seed", value, 1)]


def test_generators_made_without_a_seed_or_by_libraries_are_not_seeding(watch: SeedWatch) -> None:
    watch.start()
    generator = np.random.default_rng(5)
    np.random.default_rng()
    np.random.default_rng(generator)
    library = compile("import numpy\nnumpy.random.default_rng(9)", "/env/lib/site-packages/some/module.py", "exec")
    exec(library, {})  # noqa: S102 - code that claims to come from a library
    assert told(watch) == [("numpy.random.default_rng", 5, 1)]


def test_seeding_that_fails_fails_as_without_us(watch: SeedWatch) -> None:
    watch.start()
    with pytest.raises(TypeError):
        np.random.seed("no number")  # type: ignore[arg-type]  # noqa: NPY002


def test_set_seeds_makes_loaded_generators_repeat() -> None:
    assert set_seeds(11)[:2] == ["random.seed", "numpy.random.seed"]
    first = (random.random(), np.random.random())  # noqa: NPY002
    set_seeds(11)
    assert (random.random(), np.random.random()) == first  # noqa: NPY002
    set_seeds(2**40 + 1)  # beyond NumPy's range


STAND_IN = """
import torch.random as _random
from torch.random import manual_seed
class version: cuda = "12.4"
__version__ = "2.9.0"
"""

LATER = """
import sys
sys.path.insert(0, {pieces!r})
from seeds import SeedWatch
watch = SeedWatch({seed})
watch.start()
import json, random
import numpy
import torch
numpy.random.seed(4)
torch.manual_seed(5)
torch.random.manual_seed(6)
assert type(torch.__spec__.loader).__name__ == "SourceFileLoader"
assert "exec_module" not in vars(torch.__loader__)
calls = watch.calls()
watch.stop()
torch.manual_seed(8)
print(json.dumps([calls, torch.random.seen, torch.manual_seed is torch.random.manual_seed, random.random()]))
"""


@pytest.mark.slow
@pytest.mark.parametrize("seed", [None, 3])
def test_libraries_that_are_imported_later_are_watched_and_seeded(tmp_path: Path, seed: int | None) -> None:
    (tmp_path / "torch").mkdir()
    (tmp_path / "torch" / "__init__.py").write_text(STAND_IN)
    (tmp_path / "torch" / "random.py").write_text("seen = []\ndef manual_seed(seed):\n    seen.append(seed)\n")
    script = LATER.format(pieces=str(Path(str(seeds_module.__file__)).parent), seed=seed)
    done = subprocess.run([sys.executable, "-c", script], cwd=tmp_path, check=True, capture_output=True, text=True)
    calls, seen, same, drawn = json.loads(done.stdout)
    expected = [("numpy.random.seed", 4), ("torch.manual_seed", 6)]
    if seed is None:
        assert [(call["name"], call["value"]) for call in calls] == expected
        assert seen == [5, 6, 8]
    else:
        assert [(call["name"], call["value"]) for call in calls] == [("random.seed", 3), *expected]
        assert seen == [3, 5, 6, 8]
        assert [call["by_holdfast"] for call in calls] == [True, False, False]
        assert drawn == random.Random(3).random()
    assert same
    assert done.stderr == ""
