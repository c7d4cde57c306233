import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from holdfast.digest import hash_bytes
from holdfast.flow.capture import git as git_module
from holdfast.flow.capture.git import CodeState, code_state, tracked_files

Git = Callable[..., str]
pytestmark = pytest.mark.slow


def rebuilt(repository: Path, state: CodeState, target: Path) -> Path:
    """The commit of `state`, checked out elsewhere, with the patch applied."""
    subprocess.run(["git", "clone", "--quiet", str(repository), str(target)], check=True)
    subprocess.run(["git", "checkout", "--quiet", "--detach", str(state.commit)], cwd=target, check=True)
    subprocess.run(["git", "apply", "--index", "-"], cwd=target, input=state.patch, check=True)
    return target


def test_a_clean_repository_is_its_commit_and_branch(repository: Path, git: Git) -> None:
    state = code_state(repository)
    assert (state.state, state.commit, state.branch) == ("git", git("rev-parse", "HEAD"), "main")
    assert (state.dirty, state.changed, state.untracked, state.patch, state.patch_digest) == (False, (), (), b"", None)
    assert state.folder == "."


def test_a_folder_inside_is_told_relative_to_the_root(repository: Path) -> None:
    (repository / "jobs" / "churn").mkdir(parents=True)
    assert code_state(repository / "jobs" / "churn").folder == "jobs/churn"


def test_the_patch_on_the_commit_rebuilds_the_working_tree(repository: Path, git: Git, tmp_path: Path) -> None:
    (repository / "train.py").write_text("RATE = 0.2\n")
    (repository / "binary.bin").write_bytes(bytes(range(255, -1, -1)))
    (repository / "staged.py").write_text("staged = True\n")
    git("add", "staged.py")
    awkward = {
        "new.py": b"a = 1\nno newline at the end",
        "empty.txt": b"",
        "w\u00f6rter und blanks.txt": b"one line\n",
        'quote"back\\slash.txt': b"\n\n\n",
        "crlf.txt": b"a\r\nb\rc\n",
        "latin1.txt": "caf\xe9\n".encode("latin-1"),
        "deep/er/file.py": b"x\n" * 3000,
    }
    for name, data in awkward.items():
        (repository / name).parent.mkdir(parents=True, exist_ok=True)
        (repository / name).write_bytes(data)
    (repository / "new.py").chmod(0o755)
    state = code_state(repository)
    assert state.dirty
    assert state.changed == ("binary.bin", "staged.py", "train.py")
    assert {file.path for file in state.untracked if file.in_patch} == set(awkward)
    assert state.patch_digest == hash_bytes(state.patch)
    copy = rebuilt(repository, state, tmp_path / "copy")
    for name in (*awkward, "train.py", "binary.bin", "staged.py"):
        assert (copy / name).read_bytes() == (repository / name).read_bytes(), name
    assert os.access(copy / "new.py", os.X_OK)
    assert not os.access(copy / "empty.txt", os.X_OK)


def test_deleted_and_renamed_files_are_in_the_patch(repository: Path, git: Git, tmp_path: Path) -> None:
    git("mv", "train.py", "fit.py")
    (repository / "binary.bin").unlink()
    copy = rebuilt(repository, code_state(repository), tmp_path / "copy")
    assert sorted(path.name for path in copy.iterdir()) == [".git", "fit.py"]


def test_reading_leaves_the_index_and_the_object_database_alone(repository: Path) -> None:
    def everything() -> dict[str, tuple[int, bytes]]:
        files = [path for path in (repository / ".git").rglob("*") if path.is_file()]
        return {str(path): (path.stat().st_mtime_ns, path.read_bytes()) for path in files}

    (repository / "train.py").touch()  # the index's own time of it is stale now, which git likes to write back
    (repository / "new.py").write_text("new\n")
    before = everything()
    assert code_state(repository).untracked[0].path == "new.py"
    assert everything() == before


def test_a_large_or_binary_untracked_file_is_named_and_not_in_the_patch(repository: Path) -> None:
    (repository / "large.csv").write_bytes(b"1,2\n" * 300_000)
    (repository / "table.bin").write_bytes(b"\0\1\2")
    state = code_state(repository)
    found = {file.path: file for file in state.untracked}
    assert found["large.csv"].size == 1_200_000
    assert found["large.csv"].digest == hash_bytes((repository / "large.csv").read_bytes())
    assert not any(file.in_patch for file in state.untracked)
    assert state.patch == b""
    assert state.dirty


def test_what_gitignore_names_is_not_untracked(repository: Path, git: Git) -> None:
    (repository / ".gitignore").write_text("out/\n")
    git("add", ".gitignore")
    git("commit", "--quiet", "--message=ignore")
    (repository / "out").mkdir()
    (repository / "out" / "model.pkl").write_bytes(b"x")
    (repository / ".holdfast").mkdir()
    (repository / ".holdfast" / "registry.db").write_bytes(b"x")
    assert not code_state(repository).dirty


def test_detached_is_a_commit_without_a_branch(repository: Path, git: Git) -> None:
    git("checkout", "--quiet", "--detach")
    state = code_state(repository)
    assert (state.state, state.branch, state.commit) == ("git", None, git("rev-parse", "HEAD"))


def test_a_repository_without_commits_still_gives_its_files(git: Git, tmp_path: Path) -> None:
    project = tmp_path / "project"
    (project / "staged.py").write_text("a = 1\n")
    git("add", "staged.py")
    (project / "loose.py").write_text("b = 2\n")
    state = code_state(project)
    assert (state.state, state.commit, state.branch, state.dirty) == ("no_commits", None, "main", True)
    target = tmp_path / "empty"
    target.mkdir()
    subprocess.run(["git", "apply", "-"], cwd=target, input=state.patch, check=True)
    assert sorted(path.name for path in target.iterdir()) == ["loose.py", "staged.py"]


def test_no_repository_is_a_state_and_not_an_error(tmp_path: Path, git_environment: None) -> None:
    state = code_state(tmp_path)
    assert (state.state, state.commit, state.dirty) == ("not_a_repository", None, False)
    assert tracked_files(tmp_path) is None


def test_no_git_is_a_state_and_not_an_error(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    assert code_state(repository).state == "git_missing"


@pytest.mark.parametrize("damage", ["HEAD", "index", "objects"])
def test_a_damaged_repository_is_a_state_and_not_an_error(repository: Path, damage: str) -> None:
    place = repository / ".git" / damage
    if place.is_dir():
        shutil.rmtree(place)
        place.mkdir()
    else:
        place.write_bytes(b"\xff\xfe nonsense")
    state = code_state(repository)
    assert state.state in {"unreadable", "not_a_repository", "git"}
    assert state.reason or state.notes or damage == "HEAD"


def test_a_folder_that_does_not_exist_is_unreadable(tmp_path: Path) -> None:
    assert code_state(tmp_path / "absent").state == "unreadable"


def test_the_inside_of_a_git_folder_is_unreadable(repository: Path) -> None:
    assert code_state(repository / ".git").state == "unreadable"


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://ana:hunter2@example.org/team/churn.git", "https://[redacted]@example.org/team/churn.git"),
        ("https://ghp_0123456789012345678901@example.org/churn", "https://[redacted]@example.org/churn"),
        ("ssh://git@example.org/churn.git", "ssh://git@example.org/churn.git"),
        ("git@example.org:team/churn.git", "git@example.org:team/churn.git"),
        ("/srv/git/churn.git", "/srv/git/churn.git"),
    ],
)
def test_the_remote_is_told_without_its_secrets(repository: Path, git: Git, url: str, shown: str) -> None:
    git("remote", "add", "origin", url)
    assert code_state(repository).remote == shown


def test_the_remote_that_the_branch_follows_is_told_before_origin(repository: Path, git: Git, tmp_path: Path) -> None:
    git("init", "--quiet", "--bare", str(tmp_path / "fork.git"))
    git("remote", "add", "origin", "/srv/origin.git")
    git("remote", "add", "fork", str(tmp_path / "fork.git"))
    git("push", "--quiet", "--set-upstream", "fork", "main")
    assert code_state(repository).remote == str(tmp_path / "fork.git")


def test_files_that_may_hold_secrets_are_named_and_never_read(repository: Path, git: Git) -> None:
    (repository / ".env").write_text("TOKEN=before\n")
    git("add", "--force", ".env")
    git("commit", "--quiet", "--message=a mistake")
    (repository / ".env").write_text("TOKEN=hunter2hunter2\n")
    (repository / "id_rsa").write_text("hunter2hunter2\n")
    (repository / "train.py").write_text("RATE = 0.5\n")
    state = code_state(repository)
    assert b"hunter2" not in state.patch
    assert b"RATE = 0.5" in state.patch
    assert ".env" in state.changed
    assert [(file.path, file.digest) for file in state.untracked] == [("id_rsa", None)]
    assert any(".env" in note for note in state.notes)


def test_a_password_written_into_the_code_is_redacted_in_the_patch(repository: Path, tmp_path: Path) -> None:
    (repository / "train.py").write_text('RATE = 0.1\npassword = "hunter2hunter2"\nurl = "postgres://a:hunter2@db/x"\n')
    state = code_state(repository)
    assert b"hunter2" not in state.patch
    assert any("redacted" in note for note in state.notes)
    assert "[redacted]" in (rebuilt(repository, state, tmp_path / "copy") / "train.py").read_text()


def test_the_users_git_settings_change_nothing(repository: Path, git: Git, tmp_path: Path) -> None:
    tripwire = tmp_path / "ran"
    program = tmp_path / "program.sh"
    program.write_text(f"#!/bin/sh\ntouch {tripwire}\n")
    program.chmod(0o755)
    for key in ("diff.external", "core.fsmonitor", "core.pager"):
        git("config", key, str(program))
    git("config", "diff.noprefix", "true")
    git("config", "diff.mnemonicPrefix", "true")
    git("config", "color.ui", "always")
    git("config", "status.showUntrackedFiles", "no")
    (repository / "train.py").write_text("RATE = 0.3\n")
    (repository / "new.py").write_text("new\n")
    state = code_state(repository)
    assert not tripwire.exists()
    assert [file.path for file in state.untracked] == ["new.py"]
    for key in ("diff.external", "core.fsmonitor"):
        git("config", "--unset", key)
    assert (rebuilt(repository, state, tmp_path / "copy") / "train.py").read_text() == "RATE = 0.3\n"


def test_variables_that_a_git_hook_sets_do_not_lead_elsewhere(
    repository: Path, git: Git, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit = git("rev-parse", "HEAD")
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "nowhere"))
    monkeypatch.setenv("GIT_INDEX_FILE", str(tmp_path / "no-index"))
    assert code_state(repository).commit == commit


def test_names_that_are_not_utf8_are_shown_as_escapes(repository: Path) -> None:
    (repository / os.fsdecode(b"caf\xe9.py")).write_text("x\n")
    assert code_state(repository).untracked[0].path == "caf\\xe9.py"


def test_a_change_larger_than_the_limit_is_listed_only(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(git_module, "_PATCH_BYTES_MAX", 1000)
    (repository / "train.py").write_text("".join(f"x{n} = {n}\n" for n in range(1000)))
    state = code_state(repository)
    assert (state.changed, state.patch) == (("train.py",), b"")
    assert "more than 1000 bytes" in state.notes[0]


def test_a_git_that_hangs_is_given_up(repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "bin").mkdir()
    slow = tmp_path / "bin" / "git"
    slow.write_text("#!/bin/sh\nexec sleep 30\n")
    slow.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    monkeypatch.setattr(git_module, "_GIT_SECONDS_MAX", 0.3)
    state = code_state(repository)
    assert state.state == "unreadable"
    assert "did not finish" in str(state.reason)


def test_many_untracked_files_are_counted_beyond_the_limit(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(git_module, "_UNTRACKED_FILES_MAX", 3)
    for number in range(5):
        (repository / f"{number}.txt").write_text("x")
    state = code_state(repository)
    assert len(state.untracked) == 3
    assert "2 more" in state.notes[0]


def test_symlinks_and_pipes_are_named_and_not_followed(repository: Path) -> None:
    (repository / "link").symlink_to("/etc/passwd")
    os.mkfifo(repository / "pipe")
    state = code_state(repository)
    assert b"root:" not in state.patch
    assert {file.path: file.digest for file in state.untracked}["link"] is None


def test_json_is_a_round_trip(repository: Path) -> None:
    (repository / "new.py").write_text("new\n")
    (repository / ".env").write_text("x\n")
    state = code_state(repository)
    assert CodeState.from_json(state.to_json()) == state


def test_tracked_files_are_those_below_the_folder(repository: Path) -> None:
    (repository / "loose.py").write_text("x\n")
    assert tracked_files(repository) == frozenset({"train.py", "binary.bin"})
