"""From files and sources to reports: what exists of each part, and which gaps it has."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from holdfast.flow.inventory.commands import Commands, quoted
from holdfast.flow.inventory.formats import Kind, executes_code, is_holdout, kind_of
from holdfast.flow.inventory.report import Found, Gap, PartReport
from holdfast.flow.inventory.sources import Source, Topic
from holdfast.flow.inventory.walking import File

__all__ = ["Project", "judge_parts"]

_IN_GIT_BYTES_MAX = 10 * 1000 * 1000
"""Git keeps every version of a file whole for ever; past ten megabytes a clone begins to feel it."""

_IMAGES_MIN = 5
"""Fewer pictures in one folder illustrate something; more are a data set."""

_SHOWN_MAX = 200
"""Entries of one part: more are counted in the last one, because nobody reads them."""

_CONFIGURED_THRESHOLD = re.compile(
    r"(?im)^[\s\"'-]*([\w.-]*(?:threshold|cutoff|cut_off)[\w.-]*)[\"']?\s*[:=]\s*([0-9.eE+-]+)"
)


@dataclass(frozen=True, slots=True)
class Project:
    """What was read of a project, before it is judged.

    Attributes:
        files: all files.
        sources: its Python files, without tests.
        configurations: text of its configuration files, by path.
        notebooks: text of its notebooks, by path.
        tracked: paths that Git tracks; None without a repository.
        commands: the commands that close gaps, with this project's names in them.
    """

    files: Sequence[File]
    sources: Sequence[Source]
    configurations: dict[str, str]
    notebooks: dict[str, str]
    tracked: frozenset[str] | None
    commands: Commands

    def of_kind(self, kind: Kind) -> list[File]:
        """The files of one kind, by path."""
        return [file for file in self.files if kind_of(file.path, file.size) is kind]

    def in_git(self, path: str) -> bool | None:
        """Whether Git tracks the path; None without a repository."""
        return None if self.tracked is None else path in self.tracked

    def sights(self, *topics: Topic) -> list[Found]:
        """The places in the sources about these topics."""
        return [
            Found(source.path, sight.text, line=sight.line)
            for source in self.sources
            for sight in source.sights
            if sight.topic in topics
        ]


def judge_parts(project: Project) -> dict[str, PartReport]:
    """The reports of the five parts, in their order."""
    return {
        "weights": _weights(project),
        "data_slice": _data(project),
        "preprocessing_code": _preprocessing(project),
        "hyperparameters": _hyperparameters(project),
        "eval_threshold": _threshold(project),
    }


def _weights(project: Project) -> PartReport:
    files = project.of_kind(Kind.WEIGHTS)
    found = [
        Found(
            file.path,
            "weights",
            size=file.size,
            executes_code=executes_code(file.path),
            in_git=project.in_git(file.path),
        )
        for file in files
    ]
    gaps = []
    if not files:
        gaps.append(Gap("there are no weights yet", project.commands.run))
    else:
        sentence = f"{_counted(len(files), 'weights file')} without a version: only a name says which is which"
        gaps.append(Gap(sentence, project.commands.adopt))
    gaps.extend(_too_large_for_git(project, files, project.commands.adopt))
    return PartReport(_bounded(found), tuple(gaps))


def _data(project: Project) -> PartReport:
    files = project.of_kind(Kind.DATA)
    by_dvc = {file.path.removesuffix(".dvc") for file in project.files if file.path.endswith(".dvc")}
    found = []
    loose = []
    for file in files:
        pinned = any(file.path == pin or file.path.startswith(f"{pin}/") for pin in by_dvc)
        what = "holdout data" if is_holdout(file.path) else "data"
        found.append(
            Found(
                file.path,
                f"{what}, pinned by DVC" if pinned else what,
                size=file.size,
                in_git=project.in_git(file.path),
            )
        )
        if not pinned:
            loose.append(file)
    absent = [pin for pin in sorted(by_dvc) if not any(f"{file.path}/".startswith(f"{pin}/") for file in project.files)]
    found.extend(Found(pin, "data, pinned by DVC, not here now") for pin in absent)
    images = _image_folders(project)
    found.extend(images)
    gaps = []
    if not found:
        gaps.append(Gap("there is no data here: what a run reads will be known from running it", project.commands.run))
    if loose:
        place = _place(loose)
        gaps.append(
            Gap(f"{_counted(len(loose), 'data file')} can change unseen: no snapshot names what a model saw", place)
        )
    gaps.extend(
        Gap(f"the pictures in {folder.path} can change unseen", f"holdfast snapshot {quoted(folder.path)}")
        for folder in images
    )
    if found and not any(is_holdout(file.path) for file in files):
        gaps.append(
            Gap(
                "no data file is named as a holdout: models need one frozen set to be judged on",
                _place(loose) if loose else project.commands.run,
            )
        )
    gaps.extend(_too_large_for_git(project, files, None))
    return PartReport(_bounded(found), tuple(gaps))


def _place(loose: Sequence[File]) -> str:
    """One command for all data files: their folder when they share one, else the largest file."""
    folders = {file.path.rpartition("/")[0].split("/")[0] for file in loose}
    folder = folders.pop() if len(folders) == 1 else ""
    return f"holdfast snapshot {quoted(folder or max(loose, key=lambda file: file.size).path)}"


def _image_folders(project: Project) -> list[Found]:
    folders: dict[str, list[int]] = {}
    for file in project.of_kind(Kind.IMAGE):
        top = file.path.split("/")
        if len(top) > 1:
            folders.setdefault("/".join(top[: min(2, len(top) - 1)]), []).append(file.size)
    return [
        Found(f"{folder}/", f"{len(sizes)} images", size=sum(sizes))
        for folder, sizes in sorted(folders.items())
        if len(sizes) >= _IMAGES_MIN and not folder.startswith(("docs", "doc/"))
    ]


def _too_large_for_git(project: Project, files: Sequence[File], command: str | None) -> list[Gap]:
    return [
        Gap(
            f"{file.path} has {file.size / 1e6:.0f} MB and is in Git, which keeps every version of it for ever",
            command or f"holdfast snapshot {quoted(file.path)}",
        )
        for file in files
        if file.size > _IN_GIT_BYTES_MAX and project.in_git(file.path)
    ]


def _preprocessing(project: Project) -> PartReport:
    found = project.sights(Topic.PREPROCESSING)
    inline = project.sights(Topic.INLINE_PREPROCESSING)
    in_notebooks = [
        Found(path, "preprocessing in a notebook")
        for path, text in sorted(project.notebooks.items())
        if "fit_transform" in text or re.search(r"def \w*(?:feature|preprocess|transform|clean)", text)
    ]
    gaps = [
        Gap(
            f"{one.path}:{one.line} transforms outside any function, so nothing else can call it: {one.what}",
            project.commands.run,
        )
        for one in inline
    ]
    gaps.extend(
        Gap(f"{one.path} preprocesses in a notebook: move it to a module that a bundle can carry", project.commands.run)
        for one in in_notebooks
    )
    if not found and not inline and not in_notebooks:
        gaps.append(
            Gap("no preprocessing was found: raw rows may not be what the model was fitted on", project.commands.run)
        )
    training = {(sight.text, source.path) for source in project.sources if not source.serves for sight in source.sights}
    for source in project.sources:
        for sight in source.sights if source.serves else ():
            twins = [path for text, path in training if text == sight.text and sight.topic is Topic.PREPROCESSING]
            gaps.extend(
                Gap(
                    f"{sight.text} is written twice, in {source.path} and in {path}: they will drift apart",
                    project.commands.register(),
                )
                for path in sorted(twins)
            )
    return PartReport(_bounded([*found, *inline, *in_notebooks]), tuple(gaps))


def _hyperparameters(project: Project) -> PartReport:
    files = [Found(path, "configuration file") for path in sorted(project.configurations)]
    files = [one for one in files if not one.path.endswith("holdfast.toml")]
    arguments = project.sights(Topic.ARGUMENTS)
    literals = project.sights(Topic.LITERALS)
    hydra = [Found(source.path, "Hydra configuration") for source in project.sources if "hydra" in source.imports]
    gaps = []
    if literals:
        first = literals[0]
        gaps.append(
            Gap(
                f"hyperparameters are written into the code in {_counted(len(literals), 'place')}, such as "
                f"{first.path}:{first.line}: they change with the commit only",
                project.commands.run,
            )
        )
    if not (files or arguments or literals or hydra):
        gaps.append(Gap("no hyperparameters were found", project.commands.run))
    return PartReport(_bounded([*files, *hydra, *arguments, *literals]), tuple(gaps))


def _threshold(project: Project) -> PartReport:
    found: list[Found] = []
    gaps: list[Gap] = []
    values: dict[float, str] = {}
    command = project.commands.register(threshold=True)
    for source in project.sources:
        for sight in source.sights:
            if sight.topic is Topic.THRESHOLD:
                found.append(Found(source.path, sight.text, line=sight.line))
                if sight.value is not None:
                    values.setdefault(sight.value, f"{source.path}:{sight.line}")
                if source.serves:
                    sentence = f"the threshold lives in the service: {source.path}:{sight.line} has {sight.text}"
                    gaps.append(Gap(f"{sentence}; a rollback of the model would leave it behind", command))
    for path, text in sorted(project.configurations.items()):
        for match in _CONFIGURED_THRESHOLD.finditer(text):
            line = text.count("\n", 0, match.start(1)) + 1
            found.append(Found(path, f"{match[1]} = {match[2]}", line=line))
    if len(values) > 1:
        told = ", ".join(f"{value:g} in {place}" for value, place in sorted(values.items()))
        gaps.append(Gap(f"there is more than one threshold: {told}", command))
    if not found:
        gaps.append(Gap("no decision threshold was found: a default of 0.5 is a choice that nobody made", command))
    return PartReport(_bounded(found), tuple(gaps))


def _bounded(found: Sequence[Found]) -> tuple[Found, ...]:
    if len(found) <= _SHOWN_MAX:
        return tuple(found)
    size = sum(one.size or 0 for one in found[_SHOWN_MAX:])
    return (*found[:_SHOWN_MAX], Found("…", f"{len(found) - _SHOWN_MAX} more", size=size or None))


def _counted(count: int, noun: str) -> str:
    return f"{count} {noun}" + ("" if count == 1 else "s")
