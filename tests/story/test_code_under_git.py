"""Step 2: every version names the commit that its code comes from, and carries the code itself."""

import pytest

from tests.story.tumour import Person

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("number", [1, 3])
def test_a_version_names_the_commit_and_carries_the_code_of_that_commit(held: Person, number: int) -> None:
    shown = held.json("show", f"tumour@{number}")
    code = shown["evidence"]["code"]
    assert code["dirty"] is False
    held.ok("checkout", f"tumour@{number}", "bundle")
    carried = (held.folder / "bundle/code/features.py").read_text()
    assert carried.strip() == held.git("show", f"{code['commit']}:features.py")


def test_two_versions_with_other_features_name_other_commits(held: Person) -> None:
    commits = [held.json("show", f"tumour@{number}")["evidence"]["code"]["commit"] for number in (1, 2, 3)]
    assert commits[0] == commits[1] != commits[2]
    assert held.git("merge-base", "--is-ancestor", commits[0], commits[2]) == ""


def test_holdfast_keeps_its_own_folder_out_of_git(held: Person) -> None:
    assert held.git("status", "--porcelain") == ""
    assert ".holdfast" not in held.git("ls-files")
    assert "holdfast.toml" in held.git("ls-files").splitlines()
