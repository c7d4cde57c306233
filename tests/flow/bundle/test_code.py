"""Which of the project's modules a bundle carries: all that it needs, and none that is installed."""

import ast
import builtins
import functools
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler, scale

from holdfast.errors import CannotPackage, NotFound, TooLarge, UsageError
from holdfast.flow.bundle import modules as module
from holdfast.flow.bundle.code import code_of_function, code_of_path, code_of_value, modules_in
from holdfast.flow.bundle.modules import Modules
from tests.flow.bundle.conftest import SmallProject

FEATURISE = "def featurise(rows):\n    return rows\n"


def carried(project: SmallProject, module: str, *, root: str = ".") -> set[str]:
    function = project.load(module, root=root).featurise
    found = code_of_function(function, project.root)
    assert found.entry_point == f"{module}:featurise"
    return set(found.sources)


def test_the_module_of_a_function_and_all_that_it_imports_from_the_project(project: SmallProject) -> None:
    project.write(
        features="import json\nimport numpy\nimport cleaning\nfrom text import stems\n" + FEATURISE,
        cleaning="from tables import LIMITS\n",
        tables="LIMITS = {}\n",
        text__init="",
        text__stems="def stem(word):\n    from text.endings import ENDINGS\n    return ENDINGS\n",
        text__endings="ENDINGS = ()\n",
        train="import features\n",
        unrelated="",
    )
    assert carried(project, "features") == {
        "features.py", "cleaning.py", "tables.py", "text/__init__.py", "text/stems.py", "text/endings.py",
    }  # fmt: skip


def test_relative_imports_and_the_packages_around_a_module(project: SmallProject) -> None:
    project.write(
        app__init="",
        app__ml__init="from . import shared\nVERSION = 3\n",
        app__ml__shared="from ..root import NAME\n",
        app__ml__features="from . import VERSION\nfrom .deep.inner import x\nfrom .. import root\n" + FEATURISE,
        app__ml__deep__init="from ...other import *\n",
        app__ml__deep__inner="x = 3\n",
        app__other="y = 4\n",
        app__root="NAME = 'app'\n",
        app__train="raise SystemExit\n",
    )
    assert carried(project, "app.ml.features") == {
        "app/__init__.py", "app/ml/__init__.py", "app/ml/shared.py", "app/ml/features.py", "app/ml/deep/__init__.py",
        "app/ml/deep/inner.py", "app/other.py", "app/root.py",
    }  # fmt: skip


def test_a_project_with_a_src_folder(project: SmallProject) -> None:
    project.write(src__app__init="", src__app__features="from app import names\n" + FEATURISE, src__app__names="")
    assert carried(project, "app.features", root="src") == {"app/__init__.py", "app/features.py", "app/names.py"}
    found = code_of_path("src/app/features.py:featurise", project.root)
    assert found.entry_point == "app.features:featurise"
    assert code_of_path("app.features:featurise", project.root) == found


def test_packages_without_an_init_file(project: SmallProject) -> None:
    project.write(space__features="from space.inner.names import x\n" + FEATURISE, space__inner__names="x = 3\n")
    assert carried(project, "space.features") == {"space/features.py", "space/inner/names.py"}


def test_modules_that_import_each_other(project: SmallProject) -> None:
    project.write(first="import second\n" + FEATURISE, second="import third\n", third="import first\nimport second\n")
    assert carried(project, "first") == {"first.py", "second.py", "third.py"}


def test_imports_by_a_name_in_a_string(project: SmallProject) -> None:
    project.write(
        features="import importlib\nx = importlib.import_module('late')\ny = __import__('later')\n" + FEATURISE,
        late="",
        later="",
    )
    assert carried(project, "features") == {"features.py", "late.py", "later.py"}


def test_of_two_modules_with_one_name_the_one_that_was_imported(project: SmallProject) -> None:
    project.put({"features.py": FEATURISE + "WRONG = 1\n", "jobs/features.py": FEATURISE, "jobs/names.py": ""})
    function = project.load("features", root="jobs").featurise
    found = code_of_function(function, project.root)
    assert found.sources == {"features.py": FEATURISE.encode()}


def test_a_module_that_was_imported_is_found_where_it_was_even_when_the_path_has_changed(project: SmallProject) -> None:
    project.put({"features.py": "import names\nWRONG = 1\n" + FEATURISE, "jobs/features.py": FEATURISE})
    function = project.load("features", root="jobs").featurise
    sys.path.pop(0)
    assert code_of_function(function, project.root).sources == {"features.py": FEATURISE.encode()}


def test_a_folder_with_an_init_file_comes_before_a_file_of_its_name(project: SmallProject) -> None:
    project.put({"text.py": "", "text/__init__.py": "", "features.py": "import text\n" + FEATURISE})
    assert carried(project, "features") == {"features.py", "text/__init__.py"}


def test_what_is_installed_is_left_out(project: SmallProject) -> None:
    found = code_of_function(scale, project.root)
    assert found.sources == {}
    assert found.entry_point == "sklearn.preprocessing._data:scale"


def test_a_virtual_environment_inside_the_project_is_installed(project: SmallProject) -> None:
    place = ".venv/lib/python3.11/site-packages"
    project.put({f"{place}/library.py": FEATURISE, "features.py": "import library\n" + FEATURISE})
    sys.path.insert(0, str(project.root / place))
    assert carried(project, "features") == {"features.py"}


def test_a_project_below_the_prefix_of_python_is_still_a_project(
    project: SmallProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    project.write(features=FEATURISE)
    monkeypatch.setattr(sys, "prefix", str(project.root.parent))
    assert carried(project, "features") == {"features.py"}


def test_a_function_from_outside_the_project_is_refused(project: SmallProject, tmp_path: Path) -> None:
    outside = SmallProject(tmp_path / "elsewhere").write(features=FEATURISE)
    function = outside.load("features").featurise
    with pytest.raises(CannotPackage, match="neither installed nor in the project"):
        code_of_function(function, project.root)


def test_a_decorated_function_that_its_module_holds_is_found(project: SmallProject) -> None:
    source = "import functools\n@functools.lru_cache\ndef featurise(rows):\n    return rows\n"
    project.write(features=source)
    assert carried(project, "features") == {"features.py"}


@pytest.mark.parametrize("make", [lambda f: lambda rows: f(rows) + 1, functools.partial, lambda f: [f].index])
def test_lambdas_partials_and_bound_methods_are_refused(project: SmallProject, make: Any) -> None:
    project.write(features=FEATURISE)
    with pytest.raises(CannotPackage):
        code_of_function(make(project.load("features").featurise), project.root)


def test_too_many_modules_or_too_large_a_one_are_refused(
    project: SmallProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    project.write(features="import a\nimport b\n" + FEATURISE, a="", b="")
    monkeypatch.setattr(module, "_MODULES_MAX", 2)
    with pytest.raises(TooLarge):
        carried(project, "features")
    monkeypatch.setattr(module, "_MODULES_MAX", 3)
    assert len(carried(project, "features")) == 3
    monkeypatch.setattr(module, "_SOURCE_BYTES_MAX", 10)
    with pytest.raises(TooLarge):
        carried(project, "features")


def test_a_module_that_is_no_python_is_named(project: SmallProject) -> None:
    project.write(features="try:\n    import old\nexcept SyntaxError:\n    pass\n" + FEATURISE, old="print 3\n")
    with pytest.raises(CannotPackage, match=r"old\.py is not Python"):
        carried(project, "features")


def test_relative_imports_that_lead_out_of_every_package_find_nothing(project: SmallProject) -> None:
    found = Modules(project.root).imports(ast.parse("from .... import x\nfrom ..y import z"), within="a.b")
    assert found == ["", ".x", "a.y", "a.y.z"]


# By path, as the command line gives it.


def test_a_module_that_only_defines_is_carried_whole(project: SmallProject) -> None:
    source = (
        "import logging\nimport warnings\nimport names\n\nwarnings.filterwarnings('ignore')\n"
        "LOG = logging.getLogger(__name__)\nVOCABULARY = names.load()\n" + FEATURISE
    )
    project.write(features=source, names="def load():\n    return {}\n")
    found = code_of_path("features.py:featurise", project.root)
    assert found.entry_point == "features:featurise"
    assert found.sources.keys() == {"features.py", "names.py"}


@pytest.mark.parametrize(
    "work", ["print('training')", "for _ in range(3):\n    pass", "with open('x') as f:\n    pass",
    "if 3:\n    print()",
             "try:\n    main()\nfinally:\n    pass"],
)  # fmt: skip
def test_a_script_is_cut(project: SmallProject, work: str) -> None:
    source = f"import names\nRATE = names.RATE\ndef featurise(rows):\n    return rows * RATE\n{work}\n"
    project.put({"train-v2.1.py": source, "names.py": "RATE = 3\n"})
    found = code_of_path("train-v2.1.py:featurise", project.root)
    assert found.entry_point == "train_v2_1_preprocessing:featurise"
    assert found.sources.keys() == {"train_v2_1_preprocessing.py", "names.py"}
    assert work.encode() not in found.sources["train_v2_1_preprocessing.py"]


def test_a_script_that_guards_its_work_is_carried_whole(project: SmallProject) -> None:
    project.write(train=FEATURISE + "X = fit()\nif __name__ == '__main__':\n    print(3)\n")
    found = code_of_path("train.py:featurise", project.root)
    assert found.entry_point == "train:featurise"


def test_a_cut_never_takes_the_name_of_a_module_that_it_needs(project: SmallProject) -> None:
    project.write(
        train="import train_preprocessing\n"
        + FEATURISE.replace("return rows", "return train_preprocessing")
        + "print()\n",
        train_preprocessing="x = 3\n",
    )
    found = code_of_path("train.py:featurise", project.root)
    assert found.entry_point == "train_preprocessing_:featurise"
    assert found.sources["train_preprocessing.py"] == b"x = 3\n"


def test_a_file_below_a_folder_that_is_no_python_name(project: SmallProject) -> None:
    project.put({"my-jobs/2026/features.py": "import names\n" + FEATURISE, "my-jobs/2026/names.py": ""})
    found = code_of_path("my-jobs/2026/features.py:featurise", project.root)
    assert found.entry_point == "features:featurise"
    assert found.sources.keys() == {"features.py", "names.py"}


def test_a_file_whose_own_name_is_no_python_name_is_refused(project: SmallProject) -> None:
    project.put({"my-features.py": FEATURISE})
    with pytest.raises(CannotPackage, match="no Python name"):
        code_of_path("my-features.py:featurise", project.root)


@pytest.mark.parametrize(
    "text", ["features.py", "features.py:", ":featurise", "features.py:a.b", "features.py:a b", "x"]
)
def test_what_names_no_function_is_refused(project: SmallProject, text: str) -> None:
    with pytest.raises((UsageError, NotFound)):
        code_of_path(text, project.root)


def test_a_file_or_function_that_is_not_there(project: SmallProject) -> None:
    project.write(features=FEATURISE + "def other(rows): pass\n")
    with pytest.raises(NotFound, match=r"absent\.py does not exist"):
        code_of_path("absent.py:featurise", project.root)
    with pytest.raises(NotFound, match="no function 'featurize'") as error:
        code_of_path("features.py:featurize", project.root)
    assert "featurise, other" in error.value.hint


def test_a_file_outside_the_project_is_refused(project: SmallProject, tmp_path: Path) -> None:
    SmallProject(tmp_path).write(outside=FEATURISE)
    with pytest.raises(UsageError, match="outside the project"):
        code_of_path("../outside.py:featurise", project.root)


@pytest.mark.parametrize("data", [b"def featurise(:\n", b"\xff\xfe", b"def featurise(rows): '\xe9'", b"x = \x00"])
def test_a_file_that_is_no_python_is_refused(project: SmallProject, data: bytes) -> None:
    (project.root / "features.py").write_bytes(data)
    with pytest.raises(CannotPackage, match="not Python"):
        code_of_path("features.py:featurise", project.root)


def test_a_source_in_another_encoding_says_so_itself(project: SmallProject) -> None:
    source = "# -*- coding: latin-1 -*-\nNAME = 'é'\ndef featurise(rows):\n    return NAME\nprint(3)\n"
    (project.root / "train.py").write_bytes(source.encode("latin-1"))
    found = code_of_path("train.py:featurise", project.root)
    assert "'é'" in found.sources["train_preprocessing.py"].decode()


# By value, as a fitted model or transformer holds it.


def test_the_modules_of_a_pickled_value(project: SmallProject) -> None:
    project.write(
        models=(
            "from names import NAME\n"
            "class Scaled:\n    def fit(self, x, y): return self\n    def predict(self, x): return x\n"
        ),
        steps="def clean(rows):\n    return rows\n",
        names="NAME = 3\n",
    )
    model = project.load("models").Scaled()
    model.inner = make_pipeline(FunctionTransformer(project.load("steps").clean), StandardScaler())
    model.table = np.zeros((1000, 1000))
    assert {"models", "steps"} <= modules_in(model)
    found = code_of_value(model, project.root)
    assert found.sources.keys() == {"models.py", "steps.py", "names.py"}
    assert code_of_value(LogisticRegression(), project.root).sources == {}


def test_a_class_of_the_script_itself_is_refused(project: SmallProject, monkeypatch: pytest.MonkeyPatch) -> None:
    main = sys.modules["__main__"]
    kind = type("Scaled", (), {"__module__": "__main__"})
    monkeypatch.setattr(main, "Scaled", kind, raising=False)
    for value in (kind(), {"deep": [kind()]}, FunctionTransformer(kind)):
        with pytest.raises(CannotPackage, match="defined in the training script") as error:
            code_of_value(value, project.root)
        assert "Move that class to a module" in error.value.hint


class Stubborn:
    def __init__(self, error: type[BaseException]) -> None:
        self.error = error

    def __reduce__(self) -> Any:
        raise self.error("no")


@pytest.mark.parametrize(
    "value",
    [lambda rows: rows, builtins.open, sys, (n for n in (1, 2)), Stubborn(ValueError), Stubborn(RuntimeError)],
)
def test_what_cannot_be_pickled_is_refused(project: SmallProject, value: Any) -> None:
    if value is builtins.open:
        assert "io" in modules_in(value) or "_io" in modules_in(value)
        return
    with pytest.raises(CannotPackage, match="cannot be pickled"):
        code_of_value(value, project.root)


def test_a_value_that_nests_past_python_is_refused(project: SmallProject) -> None:
    deep: list[Any] = []
    for _ in range(100_000):
        deep = [deep]
    with pytest.raises(CannotPackage, match="cannot be pickled"):
        code_of_value(deep, project.root)
