"""What an inventory says: one frozen value, with the gaps and the commands that close them."""

from dataclasses import dataclass, field

from holdfast.canonical import JsonObject

__all__ = ["PARTS", "Evidence", "Found", "Gap", "Inventory", "PartReport"]

PARTS = ("weights", "data_slice", "preprocessing_code", "hyperparameters", "eval_threshold")
"""The five parts, in the order in which they are always told."""


_LINES_MAX = 8
"""Entries of one part shown to people; all of them are in the JSON."""

_SIZES = ((1_000_000_000, "GB"), (1_000_000, "MB"), (1_000, "kB"))


@dataclass(frozen=True, slots=True)
class Found:
    """Something that exists and belongs to a part.

    Attributes:
        path: relative to the project; a folder ends in a slash.
        what: what it is, in a few words.
        line: where in the file, from 1; None for the whole file.
        size: in bytes, of a file or all files in a folder; None where it says nothing.
        executes_code: whether loading it runs code that it brings.
        in_git: whether Git tracks it; None where that is not known or says nothing.
    """

    path: str
    what: str
    line: int | None = None
    size: int | None = None
    executes_code: bool = False
    in_git: bool | None = None

    def __str__(self) -> str:
        place = self.path if self.line is None else f"{self.path}:{self.line}"
        marks = [self.what]
        if self.size is not None:
            unit, name = next(((unit, name) for unit, name in _SIZES if self.size >= unit), (1, "bytes"))
            marks.append(f"{self.size / unit:.3g} {name}")
        if self.executes_code:
            marks.append("runs code when loaded")
        return f"{place}  {', '.join(marks)}"

    def to_json(self) -> JsonObject:
        """The fields that say something."""
        value: JsonObject = {"path": self.path, "what": self.what}
        if self.line is not None:
            value["line"] = self.line
        if self.size is not None:
            value["bytes"] = self.size
        if self.executes_code:
            value["executes_code"] = True
        if self.in_git is not None:
            value["in_git"] = self.in_git
        return value


@dataclass(frozen=True, slots=True)
class Gap:
    """Something that is missing, or not where it should be.

    Attributes:
        sentence: what is wrong.
        command: the next command to run.
    """

    sentence: str
    command: str

    def to_json(self) -> JsonObject:
        """`{"gap", "next"}`."""
        return {"gap": self.sentence, "next": self.command}


@dataclass(frozen=True, slots=True)
class PartReport:
    """One of the five parts, as it stands in the project."""

    found: tuple[Found, ...] = ()
    gaps: tuple[Gap, ...] = ()

    def to_json(self) -> JsonObject:
        """`{"found": [...], "gaps": [...]}`."""
        return {"found": [one.to_json() for one in self.found], "gaps": [gap.to_json() for gap in self.gaps]}


@dataclass(frozen=True, slots=True)
class Evidence:
    """What stands beside the five parts.

    Attributes:
        code_state: `git`, or why there is no commit to name.
        commit: the commit that is checked out.
        branch: its branch.
        dirty: whether the working tree differs from it.
        lock_files: files that fix the versions of libraries.
        seeds: places where randomness is fixed.
        training_scripts: files that fit a model, the likeliest first.
        serving_files: files that answer requests.
        holdout: data files on which models are judged, by their names.
        notebooks: notebooks, in which nothing is captured by itself.
        tools: other tools that left traces: dvc, mlflow, hydra, lakefs, wandb.
        gaps: what is missing.
    """

    code_state: str
    commit: str | None = None
    branch: str | None = None
    dirty: bool = False
    lock_files: tuple[str, ...] = ()
    seeds: tuple[Found, ...] = ()
    training_scripts: tuple[str, ...] = ()
    serving_files: tuple[str, ...] = ()
    holdout: tuple[str, ...] = ()
    notebooks: tuple[str, ...] = ()
    tools: tuple[str, ...] = ()
    gaps: tuple[Gap, ...] = ()

    def listed(self) -> tuple[tuple[str, tuple[str, ...]], ...]:
        """The lists of names, each with its heading."""
        return (
            ("lock files", self.lock_files),
            ("training scripts", self.training_scripts),
            ("services", self.serving_files),
            ("holdout", self.holdout),
            ("notebooks", self.notebooks),
            ("other tools", self.tools),
        )

    def to_json(self) -> JsonObject:
        """All fields; the code's under `code`."""
        return {
            "code": {"state": self.code_state, "commit": self.commit, "branch": self.branch, "dirty": self.dirty},
            "lock_files": list(self.lock_files),
            "seeds": [seed.to_json() for seed in self.seeds],
            "training_scripts": list(self.training_scripts),
            "serving_files": list(self.serving_files),
            "holdout": list(self.holdout),
            "notebooks": list(self.notebooks),
            "tools": list(self.tools),
            "gaps": [gap.to_json() for gap in self.gaps],
        }


@dataclass(frozen=True, slots=True)
class Inventory:
    """What a project has of the five parts, and what to do next.

    Attributes:
        project: the folder, absolute.
        parts: a report for each name in `PARTS`, in that order.
        evidence: what stands beside them.
        next: commands, in the order in which to run them.
        notes: what was not looked at, and why.
    """

    project: str
    parts: dict[str, PartReport]
    evidence: Evidence
    next: tuple[str, ...] = ()
    notes: tuple[str, ...] = field(default=())

    @property
    def complete(self) -> bool:
        """Whether all five parts were found, gaps or not."""
        return all(report.found for report in self.parts.values())

    def lines(self) -> list[str]:
        """The same for people: what was found of each part, its gaps, and what to do next."""
        told = []
        for name in PARTS:
            report = self.parts[name]
            told.append(f"{'+' if report.found else '-'} {name.replace('_', ' ')}")
            told.extend(f"    {one}" for one in report.found[:_LINES_MAX])
            if len(report.found) > _LINES_MAX:
                told.append(f"    … and {len(report.found) - _LINES_MAX} more")
            told.extend(f"  ! {gap.sentence}" for gap in report.gaps)
        evidence = self.evidence
        commit = f"{(evidence.commit or '')[:12]}{', changed since' if evidence.dirty else ''}"
        told.append("+ evidence" if evidence.code_state == "git" else "- evidence")
        told.append(f"    code: {commit or evidence.code_state}")
        told.extend(f"    {what}: {', '.join(paths)}" for what, paths in evidence.listed() if paths)
        told.extend(f"  ! {gap.sentence}" for gap in evidence.gaps)
        told.extend(f"  note: {note}" for note in self.notes)
        return [*told, "next:", *(f"    {command}" for command in self.next)]

    def to_json(self) -> JsonObject:
        """`{"project", "complete", "parts", "evidence", "next", "notes"}`."""
        return {
            "project": self.project,
            "complete": self.complete,
            "parts": {name: report.to_json() for name, report in self.parts.items()},
            "evidence": self.evidence.to_json(),
            "next": list(self.next),
            "notes": list(self.notes),
        }
