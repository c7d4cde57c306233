"""Weights that lie in files already: which files belong to them, in which format, and whether they are an adapter.

An adapter is told by the `adapter_config.json` that PEFT writes beside its weights (https://github.com/huggingface/peft).
Adapters of other kinds look like any weights, until somebody names their base.
"""

import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from holdfast.errors import NotFound, TooLarge, UsageError
from holdfast.manifest import BUNDLE_FILES_MAX
from holdfast.runtime.loaders import FORMATS, NO_LOADER
from holdfast.store.disk import refusing

__all__ = ["WeightFiles", "weight_files"]

_ADAPTER_CONFIG = "adapter_config.json"
_ADAPTER_STEM = "adapter_model"

_CONFIG_BYTES_MAX = 1 << 20
"""A config has some thirty fields; a longer file is not read for the name that it may give."""

_NAME_CHARACTERS_MAX = 200
"""What is repeated of such a name."""

_HARMLESS = {".json", ".txt", ".md", ".model", ".jinja", ".yaml", ".yml"}
"""What stands beside weights and runs nothing: settings, vocabularies, templates. Anything else that is no known format
of weights, such as a `.bin`, may be a pickle or code."""


@dataclass(frozen=True, slots=True)
class WeightFiles:
    """Weights as they lie on the disk.

    Attributes:
        format: how they are written.
        loader: the loader that opens them, or `NO_LOADER`.
        executes_code: whether loading one of the files can run code.
        files: where each lies, by its name in the bundle below `weights/`, in the order of the names.
        adapts: what an adapter says that it is a delta on; empty when it says nothing, None when it is no adapter that
            is known by its files.
    """

    format: str
    loader: str
    executes_code: bool
    files: Mapping[str, Path]
    adapts: str | None


def weight_files(path: Path) -> WeightFiles:
    """The weights at `path`: a file, or a folder that holds files of one format and what belongs to them.

    Of a folder everything is taken but what has a name that begins with a dot.

    Raises:
        NotFound: nothing is there.
        UsageError: no known kind of weights, or several; a kind that is one file; or a link to a folder.
        TooLarge: more files than a bundle holds.
        PermissionRefused: it cannot be read.
    """
    with refusing(path):
        if path.is_dir():
            return _folder(path)
    if not path.is_file():
        raise NotFound(f"{path} does not exist", hint="Give the path of the weights relative to the project.")
    known = FORMATS.get(path.suffix.lower())
    if known is None:
        raise UsageError(
            f"{path.name} is not a known kind of weights", hint=f"Known endings: {', '.join(sorted(FORMATS))}"
        )
    config = path.with_name(_ADAPTER_CONFIG)
    if path.stem == _ADAPTER_STEM and config.is_file():
        return WeightFiles(*known, {config.name: config, path.name: path}, _base_named_in(config))
    return WeightFiles(*known, {path.name: path}, None)


def _folder(folder: Path) -> WeightFiles:
    files = dict(sorted((str(PurePosixPath(path.relative_to(folder))), path) for path in _below(folder)))
    suffixes = {path.suffix.lower() for path in files.values()}
    formats = {FORMATS[suffix] for suffix in suffixes if suffix in FORMATS}
    if len(formats) != 1:
        found = ", ".join(sorted({name for name, _, _ in formats})) or "none"
        raise UsageError(
            f"{folder} should hold weights of one known format, and holds: {found}",
            hint=f"Give a folder with weights of one kind, or one file. Known endings: {', '.join(sorted(FORMATS))}",
        )
    ((written, loader, executes_code),) = formats
    if loader != NO_LOADER:
        raise UsageError(
            f"{folder} is a folder, and weights written as {written} are one file",
            hint="Give that file; the code that belongs to it is found by itself.",
        )
    executes_code = executes_code or bool(suffixes - FORMATS.keys() - _HARMLESS)
    config = folder / _ADAPTER_CONFIG
    adapts = _base_named_in(config) if config.is_file() else None
    return WeightFiles(written, loader, executes_code, files, adapts)


def _below(folder: Path) -> Iterator[Path]:
    count = 0
    for root, folders, names in os.walk(folder, onerror=_raise):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in folders:
            if (Path(root) / name).is_symlink():
                raise UsageError(
                    f"{Path(root) / name} is a link to a folder", hint="Put the folder itself there, or give its files."
                )
        for name in names:
            if not name.startswith("."):
                count += 1
                if count > BUNDLE_FILES_MAX:
                    raise TooLarge(
                        f"{folder} holds more than {BUNDLE_FILES_MAX} files",
                        hint="Give the folder that holds the weights alone; data belongs in snapshots.",
                        limit=BUNDLE_FILES_MAX,
                    )
                yield Path(root) / name


def _raise(error: OSError) -> None:
    raise error


def _base_named_in(config: Path) -> str:
    """What the config calls the base: a name of somebody else's, which only a person can match with a version."""
    with refusing(config):
        if config.stat().st_size > _CONFIG_BYTES_MAX:
            return ""
        data = config.read_bytes()
    try:
        named = json.loads(data)["base_model_name_or_path"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return ""
    return named[:_NAME_CHARACTERS_MAX] if isinstance(named, str) else ""
