"""Inventory: what a project has of the five parts, and what is missing, before anything is set up.

    from holdfast.flow.inventory import inventory

    found = inventory(Path("."))
    found.parts["eval_threshold"].gaps      "the threshold lives in the service: app.py:12"
    found.next                              ("holdfast init", "holdfast run -- python train.py", ...)

It only reads: file names, Python syntax, small configuration files, and the state of Git. It imports and runs nothing
of the project, opens no weights and no data.
"""

from pathlib import Path

from holdfast.config import HOME_NAME
from holdfast.errors import NotFound
from holdfast.flow.capture.git import CodeState, code_state, tracked_files
from holdfast.flow.capture.locks import lock_files
from holdfast.flow.inventory.commands import suggest, training_scripts
from holdfast.flow.inventory.formats import Kind, is_holdout, kind_of
from holdfast.flow.inventory.judging import Project, judge_parts
from holdfast.flow.inventory.report import PARTS, Evidence, Found, Gap, Inventory, PartReport
from holdfast.flow.inventory.sources import Source, Topic, read_source
from holdfast.flow.inventory.walking import ENTRIES_MAX, File, Walk, walk

__all__ = ["PARTS", "Evidence", "Found", "Gap", "Inventory", "PartReport", "inventory"]

_SOURCES_MAX = 3_000
"""Python files read: parsing them takes some ten seconds, and beyond it a folder holds more than one project."""

_SOURCE_BYTES_MAX = 1024 * 1024
"""Nobody writes a longer Python file by hand; generated ones say nothing about preprocessing."""

_NOTEBOOK_BYTES_MAX = 16 * 1024 * 1024
"""Notebooks keep their pictures inside."""

_IMPORTED_TOOLS = {"mlflow": "mlflow", "dvc": "dvc", "hydra": "hydra", "wandb": "wandb", "lakefs": "lakefs"}
_IMPORTED_TOOLS |= {"lakefs_client": "lakefs", "dvclive": "dvc", "clearml": "clearml", "neptune": "neptune"}


def inventory(folder: Path) -> Inventory:
    """What `folder` has of the five parts.

    Raises:
        NotFound: there is no such folder.
    """
    folder = folder.absolute()
    if not folder.is_dir():
        raise NotFound(f"{folder} is not a folder", hint="Name the folder of a project, or run this inside it.")
    seen = walk(folder)
    project, notes = _read(folder, seen)
    state = code_state(folder)
    evidence = _evidence(folder, seen, project, state)
    parts = judge_parts(project)
    if not seen.whole:
        notes.append(f"only the first {ENTRIES_MAX} files were looked at")
    return Inventory(str(folder), parts, evidence, _next(folder, project, parts, evidence), tuple(notes))


def _read(folder: Path, seen: Walk) -> tuple[Project, list[str]]:
    notes: list[str] = []
    sources: list[Source] = []
    configurations: dict[str, str] = {}
    notebooks: dict[str, str] = {}
    python = [file for file in seen.files if kind_of(file.path, file.size) is Kind.PYTHON and not _is_test(file.path)]
    if len(python) > _SOURCES_MAX:
        notes.append(f"only {_SOURCES_MAX} of {len(python)} Python files were read")
    for file in python[:_SOURCES_MAX]:
        text = _text(folder, file, _SOURCE_BYTES_MAX)
        source = Source(file.path, readable=False) if text is None else read_source(file.path, text)
        sources.append(source)
        if not source.readable:
            notes.append(f"{file.path} could not be read as Python")
    for file in seen.files:
        kind = kind_of(file.path, file.size)
        if kind is Kind.CONFIGURATION:
            configurations[file.path] = _text(folder, file, _SOURCE_BYTES_MAX) or ""
        elif kind is Kind.NOTEBOOK:
            notebooks[file.path] = _text(folder, file, _NOTEBOOK_BYTES_MAX) or ""
    commands = suggest(folder.name, seen.files, sources)
    return Project(seen.files, sources, configurations, notebooks, tracked_files(folder), commands), notes


def _text(folder: Path, file: File, bytes_max: int) -> str | None:
    if file.size > bytes_max:
        return None
    try:
        return (folder / file.path).read_text(encoding="utf-8-sig", errors="strict")
    except (OSError, ValueError):
        return None


def _is_test(path: str) -> bool:
    name = path.rpartition("/")[2]
    return name.startswith("test_") or name in {"conftest.py", "setup.py"} or "tests" in path.split("/")[:-1]


def _evidence(folder: Path, seen: Walk, project: Project, state: CodeState) -> Evidence:
    scripts = training_scripts(project.sources)
    train = project.commands.run
    locks = tuple(lock.path for lock in lock_files(folder))
    seeds = tuple(project.sights(Topic.SEED))
    imported = {tool for source in project.sources for name, tool in _IMPORTED_TOOLS.items() if name in source.imports}
    gaps = []
    if state.state != "git":
        command = {"not_a_repository": "git init", "no_commits": "git commit"}.get(state.state, "holdfast doctor")
        gaps.append(Gap(f"no commit names the code: {state.reason}", command))
    elif state.dirty:
        gaps.append(Gap("the working tree differs from its commit; a run keeps the difference as a patch", train))
    if not locks:
        gaps.append(Gap("no lock file fixes the versions of the libraries; a run records those that were used", train))
    if scripts and not seeds:
        gaps.append(Gap("no seed is set: two runs will not give the same weights", train))
    if not scripts:
        gaps.append(Gap("no training script was found", train))
    return Evidence(
        code_state=state.state,
        commit=state.commit,
        branch=state.branch,
        dirty=state.dirty,
        lock_files=locks,
        seeds=seeds,
        training_scripts=tuple(scripts),
        serving_files=tuple(source.path for source in project.sources if source.serves),
        holdout=tuple(file.path for file in project.of_kind(Kind.DATA) if is_holdout(file.path)),
        notebooks=tuple(sorted(project.notebooks)),
        tools=tuple(sorted(seen.tools | imported)),
        gaps=tuple(gaps),
    )


def _next(folder: Path, project: Project, parts: dict[str, PartReport], evidence: Evidence) -> tuple[str, ...]:
    """Set up first, then freeze data, run, adopt what exists, register."""
    commands = [] if (folder / HOME_NAME).is_dir() else ["holdfast init"]
    commands.extend(gap.command for gap in parts["data_slice"].gaps[:1])
    if evidence.training_scripts:
        commands.append(project.commands.run)
    elif parts["weights"].found:
        commands.append(project.commands.adopt)
    commands.append(project.commands.register())
    return tuple(dict.fromkeys(commands))
