"""The lock names everything that opening the bundle will import."""

from importlib.metadata import version

import pytest

from holdfast.errors import CannotPackage
from holdfast.flow.bundle.lock import completed_lock, imported_by

PANDAS, NUMPY = f"pandas=={version('pandas')}", f"numpy=={version('numpy')}"


def test_what_is_needed_is_pinned_with_all_that_it_needs() -> None:
    lines = completed_lock("", {"pandas.core.frame", "json", "not_installed_anywhere"}).splitlines()
    assert {PANDAS, NUMPY} <= set(lines)
    assert lines == sorted(lines, key=str.lower)
    assert not any(line.startswith("holdfast") for line in lines)


@pytest.mark.parametrize(
    "lock", ["pandas==1.0\n", "Pandas >= 2 ; python_version > '3'\n", "pandas[excel]==2.0 \\\n    --hash=sha256:ab\n",
             "# pandas==2.0 was installed from an editable folder, not from an index: file:///x\n", "  pandas\n",
             "pandas @ file:///x"],
)  # fmt: skip
def test_what_the_lock_names_already_is_left_as_it_stands(lock: str) -> None:
    found = completed_lock(lock, {"pandas"})
    assert found.startswith(lock)
    assert PANDAS not in found
    assert NUMPY in found.splitlines()


def test_a_lock_that_names_everything_is_not_touched() -> None:
    lock = completed_lock("", {"pandas"})
    assert completed_lock(lock, {"pandas"}) == lock
    assert completed_lock("# a comment\n--index-url x", set()) == "# a comment\n--index-url x"


def test_a_lock_without_a_line_end_gets_one() -> None:
    assert completed_lock("six==1.0", {"pandas"}).splitlines()[0] == "six==1.0"


def test_the_modules_that_sources_import() -> None:
    found = imported_by(
        {
            "code/a.py": b"import os.path, numpy as np\nfrom pandas.api import x\nfrom . import n\nfrom .b import c\n",
            "code/b.py": b"def late():\n    import scipy.stats\n",
        }
    )
    assert found == {"os", "numpy", "pandas", "scipy"}
    with pytest.raises(CannotPackage):
        imported_by({"code/a.py": b"import"})
