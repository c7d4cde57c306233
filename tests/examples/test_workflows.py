"""The examples for build servers: valid YAML, with commands and options that exist, and no more rights than needed."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml

from holdfast.cli.app import COMMANDS, build
from holdfast.cli.exit_codes import EXIT_CODES
from holdfast.flow.gate.rendering.markdown import MARKER

FOLDER = Path(__file__).parents[2] / "examples"
GITHUB = FOLDER / "github/.github/workflows/holdfast-gate.yml"
GITLAB = FOLDER / "gitlab/holdfast-gate.gitlab-ci.yml"
EVERY = sorted(FOLDER.rglob("*.yml"))


def read(path: Path) -> Any:
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def texts(value: Any) -> Iterator[str]:
    """Every text in a document."""
    if isinstance(value, str):
        yield value
    for inner in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from texts(inner)


def commands(path: Path) -> list[list[str]]:
    """The words of each `holdfast …` command in the scripts of a workflow."""
    lines = [line.strip() for text in texts(read(path)) for line in text.splitlines()]
    return [shlex.split(line.partition(" > ")[0])[1:] for line in lines if line.startswith("holdfast ")]


def test_both_build_servers_have_an_example() -> None:
    assert {GITHUB, GITLAB} == set(EVERY)


@pytest.mark.parametrize("path", EVERY, ids=lambda path: path.name)
def test_each_command_and_each_option_exists(path: Path) -> None:
    found = commands(path)
    assert [words[0] for words in found] == ["run", "ci"]
    for name, *words in found:
        assert name in COMMANDS
        ours = words[: words.index("--")] if "--" in words else words
        found_command = typer.main.get_command(build(name))
        command = getattr(found_command, "commands", {}).get(name, found_command)
        options = {word for parameter in command.params for word in parameter.opts}
        assert {word for word in ours if word.startswith("--")} <= options


def test_github_gives_each_job_what_it_needs_and_no_more() -> None:
    document = read(GITHUB)
    assert document["permissions"] == {}
    judge, comment = document["jobs"]["judge"], document["jobs"]["comment"]
    assert judge["permissions"] == {"contents": "read"}
    assert comment["permissions"] == {"pull-requests": "write"}
    # Who may write comments runs nothing of the pull request, and who runs it sees the secret in two steps alone.
    assert not any("checkout" in step.get("uses", "") or "pip" in step.get("run", "") for step in comment["steps"])
    assert "secrets." not in str(comment)
    assert "secrets." not in str(judge["env"])
    assert document.get("on", document.get(True)) == {"pull_request": None}  # YAML 1.1 reads `on` as true
    assert all("head.repo.full_name == github.repository" in job["if"] for job in (judge,))


def test_nothing_that_a_pull_request_says_is_put_into_a_script() -> None:
    for job in read(GITHUB)["jobs"].values():
        for step in job["steps"]:
            assert "${{" not in step.get("run", ""), step


def test_github_finds_its_own_comment_by_the_first_line() -> None:
    script = next(text for text in texts(read(GITHUB)) if "gh api" in text)
    assert re.findall(r'startswith\("([^"]+)"\)', script) == [MARKER]


def test_gitlab_shows_the_rules_as_tests_and_lets_a_person_be_waited_for() -> None:
    job = read(GITLAB)["model-gate"]
    words = next(words for words in commands(GITLAB) if words[0] == "ci")
    assert job["artifacts"]["reports"]["junit"] == words[words.index("--junit") + 1]
    assert job["artifacts"]["paths"] == [words[words.index("--output") + 1]]
    assert job["allow_failure"]["exit_codes"] == EXIT_CODES["approval_required"]
