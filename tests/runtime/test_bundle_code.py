"""The bundle's own modules come from verified bytes, and from nowhere else."""

import importlib
import importlib.util
import sys
import traceback
from collections.abc import Iterator
from pathlib import Path

import pytest

from holdfast.errors import IntegrityError
from holdfast.runtime.bundle_code import install_modules, module_name
from holdfast.runtime.bundle_files import BundleFiles
from tests.runtime.conftest import Bundles


@pytest.fixture(autouse=True)
def forgotten() -> Iterator[None]:
    finders, modules, path = list(sys.meta_path), set(sys.modules), list(sys.path)
    yield
    sys.meta_path[:], sys.path[:] = finders, path
    for name in set(sys.modules) - modules:
        del sys.modules[name]


def test_modules_packages_and_folders_without_init(bundles: Bundles) -> None:
    files = bundles(
        {
            "holdfast_a": "from holdfast_pkg import VALUE\nfrom holdfast_pkg.inner.deep import near\n",
            "holdfast_pkg.__init__": "VALUE = 3\n",
            "holdfast_pkg.inner.deep": "from . import other\nfrom .. import VALUE\nnear = (other.x, VALUE)\n",
            "holdfast_pkg.inner.other": "x = 4\n",
        }
    )
    install_modules(files)
    module = importlib.import_module("holdfast_a")
    assert (module.VALUE, module.near) == (3, (4, 3))
    assert module.__file__ == f"{files.root}/code/holdfast_a.py"
    assert importlib.util.find_spec("holdfast_pkg.inner.absent") is None
    assert importlib.util.find_spec("holdfast_absent") is None


def test_bytes_are_read_once_and_the_folder_is_not_looked_at_again(bundles: Bundles) -> None:
    files = bundles({"holdfast_late": "x = 'verified'\n"})
    install_modules(files)
    (files.root / "code" / "holdfast_late.py").write_text("x = 'swapped after verification'\n")
    (files.root / "code" / "holdfast_stray.py").write_text("x = 'stray'\n")
    assert importlib.import_module("holdfast_late").x == "verified"
    with pytest.raises(ImportError):
        importlib.import_module("holdfast_stray")


def test_a_flipped_bit_is_found_before_anything_is_imported(bundles: Bundles) -> None:
    files = bundles({"holdfast_bad": "x = 3\n"})
    (files.root / "code" / "holdfast_bad.py").write_text("x = 4\n")
    with pytest.raises(IntegrityError):
        install_modules(files)
    with pytest.raises(ImportError):
        importlib.import_module("holdfast_bad")


def test_they_come_before_others_of_the_same_name(bundles: Bundles, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "holdfast_twin.py").write_text("x = 'elsewhere'\n")
    sys.path.insert(0, str(tmp_path / "elsewhere"))
    install_modules(bundles({"holdfast_twin": "x = 'bundle'\n"}))
    assert importlib.import_module("holdfast_twin").x == "bundle"


def test_a_folder_without_init_shares_its_name_with_an_installed_one(bundles: Bundles, tmp_path: Path) -> None:
    (tmp_path / "site" / "holdfast_space").mkdir(parents=True)
    (tmp_path / "site" / "holdfast_space" / "theirs.py").write_text("x = 'theirs'\n")
    sys.path.insert(0, str(tmp_path / "site"))
    install_modules(bundles({"holdfast_space.ours": "from holdfast_space import theirs\nx = 'ours'\n"}))
    ours = importlib.import_module("holdfast_space.ours")
    assert (ours.x, ours.theirs.x) == ("ours", "theirs")


def test_a_traceback_shows_the_bundles_own_lines(bundles: Bundles) -> None:
    install_modules(bundles({"holdfast_raise": "def go():\n    raise ValueError('in the bundle')  # here\n"}))
    module = importlib.import_module("holdfast_raise")
    try:
        module.go()
    except ValueError:
        assert "# here" in traceback.format_exc()


def test_a_source_may_say_its_encoding_and_future_of_ours_is_not_theirs(bundles: Bundles) -> None:
    files = bundles(more={"code/holdfast_latin.py": "# coding: latin-1\nx = 'é'\n".encode("latin-1")})
    install_modules(BundleFiles.open(files.root))
    assert importlib.import_module("holdfast_latin").x == "é"


@pytest.mark.parametrize(
    ("path", "name"),
    [("code/a.py", "a"), ("code/a/b.py", "a.b"), ("code/a/__init__.py", "a"), ("code/a/b/__init__.py", "a.b")],
)
def test_a_path_is_a_module(path: str, name: str) -> None:
    assert module_name(path) == name
