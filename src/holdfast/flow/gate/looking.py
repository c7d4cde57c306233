"""Looking at each file of a bundle, to find out what it could do when it is opened; nothing is unpickled for it."""

import ast
import sys
from collections.abc import Mapping

from holdfast.flow.gate.stage_policy import StagePolicy
from holdfast.formats import HEADER_BYTES_MAX, SCAN_BYTES_MAX, Allowed, Listing, Standing, scan
from holdfast.manifest import FileEntry, Manifest
from holdfast.parts import PreprocessingCode, Weights
from holdfast.runtime.bundle_code import CODE_FOLDER, module_name
from holdfast.store.interface import Store

__all__ = ["listings_of"]

_SOURCE_BYTES_MAX = 4 << 20
"""A module longer than this was written by a machine, and is not read for the names that it defines."""


def listings_of(store: Store, manifest: Manifest, policy: StagePolicy) -> Mapping[str, Listing]:
    """What each file of the bundle is, by its path.

    Raises:
        IntegrityError, NotFound: the store lost or damaged a file since it was verified.
    """
    sources = dict(_sources(store, manifest))
    own = {module_name(path): names for path, names in sources.items()}
    allowed = Allowed(
        own={module: names for module, names in own.items() if module.partition(".")[0] not in sys.stdlib_module_names},
        policy=frozenset(policy.formats_allow),
    )
    # MLflow opens what its own description names, which may be any file of the bundle.
    may_load_any = manifest.logged_elsewhere
    found: dict[str, Listing] = {}
    for entry in manifest.files:
        path = str(entry.path)
        if path in sources and not (may_load_any and _is_pickle_too(store, entry)):
            found[path] = Listing("python", Standing.CODE, own=True)
        elif entry.size <= SCAN_BYTES_MAX:
            found[path] = scan(store.read(entry.digest, bytes_max=SCAN_BYTES_MAX), path, allowed=allowed)
        else:
            with store.open(entry.digest) as handle:
                found[path] = scan(handle.read(HEADER_BYTES_MAX), path, allowed=allowed, size=entry.size)
    return found


def _sources(store: Store, manifest: Manifest) -> list[tuple[str, frozenset[str]]]:
    """Each module that the bundle brings as code of its own, with the classes and functions that it defines.

    Only what is defined there is the bundle's: a module also holds whatever it imports.
    """
    loaded = _loaded(manifest)
    found = []
    for entry in manifest.files:
        path = str(entry.path)
        if not _may_be_source(entry) or path in loaded:
            continue
        try:
            tree = ast.parse(store.read(entry.digest, bytes_max=_SOURCE_BYTES_MAX))
        except (SyntaxError, ValueError, MemoryError, RecursionError):
            continue
        kinds = (ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
        found.append((path, frozenset(node.name for node in tree.body if isinstance(node, kinds))))
    return found


def _is_pickle_too(store: Store, entry: FileEntry) -> bool:
    """Whether an unpickler would import something that there could be before it gave up on this source."""
    seen = scan(store.read(entry.digest, bytes_max=_SOURCE_BYTES_MAX), str(entry.path))
    return any(one.name.replace(".", "").isidentifier() for one in seen.imports)


def _may_be_source(entry: FileEntry) -> bool:
    path = str(entry.path)
    return path.startswith(f"{CODE_FOLDER}/") and path.endswith(".py") and entry.size <= _SOURCE_BYTES_MAX


def _loaded(manifest: Manifest) -> set[str]:
    """The files that a loader opens, whatever they are called."""
    weights, preprocessing = manifest.parts.weights, manifest.parts.preprocessing_code
    found = {str(path) for path in weights.files} if isinstance(weights, Weights) else set()
    if isinstance(preprocessing, PreprocessingCode) and preprocessing.state is not None:
        found.add(str(preprocessing.state))
    return found
