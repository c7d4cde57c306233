"""One file, looked into: what it is by its content, and what opening it could do.

The name of a file decides nothing in its favour. Whatever it seems to be, the file is read as a pickle first, because
that is what an attacker would have it be as well.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field

from holdfast.formats.allowed import NOTHING_MORE, Allowed
from holdfast.formats.archives import ZIP_MAGIC, members
from holdfast.formats.arrays import NPY_MAGIC, read_npy
from holdfast.formats.compressed import compression_of, expand
from holdfast.formats.graphs import keras_faults, read_onnx
from holdfast.formats.limits import DEPTH_MAX, SCAN_BYTES_MAX, Broken, Budget, Refused
from holdfast.formats.listing import Ground, Import, Listing, Standing, printable, worst
from holdfast.formats.machine import PERSISTENT, Walk, walk
from holdfast.formats.plain import data_kind, is_source, program_kind, text_kind, ubjson_ends
from holdfast.formats.tensors import GGUF_MAGIC, read_gguf, read_safetensors, seems_safetensors

__all__ = ["scan"]

_HDF5_MAGIC = b"\x89HDF\r\n\x1a\n"
_TORCH_STREAM = b"\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19"
"""The number that files of Torch before 1.6 begin with, as a pickle writes it; storages without a frame follow."""

_PROTOCOL = 0x80
_KERAS_CONFIG = "config.json"
_KERAS_WEIGHTS = ".weights.h5"
_TORCH_DATA = "data.pkl"
_SKOPS_SCHEMA = "schema.json"


@dataclass(slots=True)
class _Found:
    """What was found so far, in all layers of one file."""

    names: dict[tuple[str, str], bool] = field(default_factory=dict)
    code: dict[str, None] = field(default_factory=dict)
    unreadable: dict[str, None] = field(default_factory=dict)
    notes: dict[str, None] = field(default_factory=dict)
    pickled: bool = False

    def add_walk(self, found: Walk) -> None:
        """What a pickle would do."""
        self.pickled = True
        for name, called in found.names.items():
            self.names[name] = called or self.names.get(name, False)
        self.code |= found.reasons


def scan(
    data: bytes, name: str, *, allowed: Allowed = NOTHING_MORE, size: int | None = None, budget: Budget | None = None
) -> Listing:
    """What the file is, and what opening it could do; never an exception, whatever its bytes are.

    Args:
        data: its bytes, or their beginning.
        name: its path, whose ending may only count against it.
        allowed: what pickles may import besides what models of known libraries need.
        size: how many bytes it has, when `data` is only the beginning.
        budget: what may be spent on it.
    """
    scanning = _Scan(budget or Budget(), allowed)
    whole = len(data) if size is None else size
    try:
        kind = scanning.kind_of(data, name, whole, 0)
    except Broken as error:
        kind = "unknown"
        scanning.found.unreadable[str(error)] = None
    return scanning.listing(kind)


class _Scan:
    def __init__(self, budget: Budget, allowed: Allowed) -> None:
        self.budget = budget
        self.allowed = allowed
        self.found = _Found()

    def listing(self, kind: str) -> Listing:
        """All that was found, judged."""
        found = self.found
        imports = tuple(
            sorted(
                Import(printable(f"{module}.{name}"), called, self.allowed.ground(module, name, called=called))
                for (module, name), called in found.names.items()
            )
        )
        standings = [Standing.ALLOWED] if imports else []
        if found.unreadable:
            standings.append(Standing.UNREADABLE)
        if found.code or any(one.ground is Ground.REFUSED for one in imports):
            standings.append(Standing.CODE)
        reasons = tuple(found.code | found.unreadable | found.notes)
        return Listing(kind, worst(standings), imports, reasons, found.pickled)

    def kind_of(self, data: bytes, name: str, size: int, depth: int) -> str:
        """What the bytes are; what opening them could do goes into `found`."""
        if depth > DEPTH_MAX:
            raise Refused("it nests files deeper than anybody does")
        if size > len(data):
            return self._beginning(data, size)
        if not data:
            return "empty"
        first = walk(data, 0, self.budget, arrays=True)
        if first.names or first.refused or (not first.broken and first.end == len(data)):
            self._pickles(data, first, depth, arrays=True)
            return "pickle"
        kind = self._by_content(data, name, size, depth)
        if kind is not None:
            return kind
        if data[0] == _PROTOCOL or not first.broken:
            self._pickles(data, first, depth, arrays=True)
            return "pickle"
        self._search(data, depth)
        self.found.unreadable["nothing here recognises it"] = None
        return "unknown"

    def _beginning(self, data: bytes, size: int) -> str:
        """A file too large to be looked at whole: one of tensors, or nothing is known about it."""
        if seems_safetensors(data):
            return self._safetensors(data, size)
        if data.startswith(GGUF_MAGIC):
            return self._gguf(data)
        self.found.unreadable[f"it is larger than the {SCAN_BYTES_MAX >> 30} GiB that are looked at"] = None
        return "unknown"

    def _by_content(self, data: bytes, name: str, size: int, depth: int) -> str | None:
        if (program := program_kind(data, name)) is not None or is_source(name):
            self.found.code["it is a program"] = None
            return program or "source"
        if data.startswith(ZIP_MAGIC):
            return self._archive(data, depth)
        if (compression := compression_of(data)) is not None:
            inner = expand(data, compression, self.budget)
            return f"{self.kind_of(inner, name, len(inner), depth + 1)} in {compression}"
        if data.startswith(NPY_MAGIC):
            return self._npy(data, depth)
        if seems_safetensors(data):
            return self._safetensors(data, size)
        if data.startswith(GGUF_MAGIC):
            return self._gguf(data)
        if data.startswith(_HDF5_MAGIC):
            return self._hdf5(data)
        if (kind := data_kind(data) or text_kind(data)) is not None:
            return kind
        if data[:1] == b"{" and ubjson_ends(data):
            return "ubjson"
        return self._onnx(data)

    # -- pickles

    def _pickles(self, data: bytes, first: Walk, depth: int, *, arrays: bool, begin: int = 0) -> None:
        """The pickle that was walked, those behind it, and those in the bytes that they hold."""
        if _TORCH_STREAM in data[:64]:
            self.found.unreadable["it is a file of Torch from before 1.6, which mixes pickles and other bytes"] = None
        if first.ambiguous:
            plain = walk(data, begin, self.budget)
            plain.broken, plain.reasons = "", {why: None for why in plain.reasons if why != PERSISTENT}
            self.found.add_walk(plain)
        one = first
        while True:
            self.found.add_walk(one)
            for start, end in one.literals:
                self._literal(data[start:end], depth + 1)
            if one.broken:
                self.found.unreadable[f"as a pickle, {one.broken}"] = None
                return
            if one.end == len(data):
                return
            one = walk(data, one.end, self.budget, arrays=arrays)

    def _literal(self, data: bytes, depth: int) -> None:
        """Bytes that a pickle holds: a pickle in their turn, perhaps, which somebody else would load."""
        if depth > DEPTH_MAX:
            raise Refused("it nests files deeper than anybody does")
        compression = compression_of(data)
        if compression is not None:
            try:
                self._literal(expand(data, compression, self.budget), depth + 1)
            except Refused:
                if self.budget.expanded_bytes < 0:
                    raise  # a bomb; else these were numbers that only began like something compressed
            return
        inner = walk(data, 0, self.budget)
        # Numbers may look like a few instructions: what imports nothing, or no name that there could be, is none.
        if any(f"{module}.{name}".replace(".", "").isidentifier() for module, name in inner.names):
            self.found.add_walk(inner)
            for start, end in inner.literals:
                self._literal(data[start:end], depth + 1)

    def _search(self, data: bytes, depth: int) -> None:
        """Pickles behind something else, for the listing; the file is not believed either way."""
        at = data.find(b"\x80")
        for _ in range(_TRIES_MAX):
            if at < 0:
                return
            if data[at + 1 : at + 2] in _PROTOCOLS:
                inner = walk(data, at, self.budget)
                if inner.names:
                    self.found.add_walk(inner)
                    at = max(at, inner.end - 1)
            at = data.find(b"\x80", at + 1)
        del depth

    # -- others

    def _npy(self, data: bytes, depth: int) -> str:
        begin = read_npy(data)
        if begin is not None:
            inner = walk(data, begin, self.budget)
            self._pickles(data, inner, depth, arrays=False, begin=begin)
            return "npy with references"
        return "npy"

    def _safetensors(self, data: bytes, size: int) -> str:
        read_safetensors(data, size)
        return "safetensors"

    def _gguf(self, data: bytes) -> str:
        self.found.notes |= dict.fromkeys(read_gguf(data))
        return "gguf"

    def _hdf5(self, data: bytes) -> str:
        if b'"Lambda"' in data:
            self.found.code["its configuration has a layer Lambda, which runs what the file brings"] = None
        self.found.unreadable["HDF5 is not read here, and may hold a model of Keras that runs code"] = None
        return "hdf5"

    def _onnx(self, data: bytes) -> str | None:
        read = read_onnx(data)
        if read is None:
            return None
        faults, notes = read
        self.found.code |= dict.fromkeys(faults)
        self.found.notes |= dict.fromkeys(notes)
        return "onnx"

    def _archive(self, data: bytes, depth: int) -> str:
        if depth >= DEPTH_MAX:
            raise Refused("it nests files deeper than anybody does")
        found = dict(members(data, self.budget))
        if any(name.rpartition("/")[2] == "constants.pkl" or "/code/" in f"/{name}" for name in found):
            self.found.code["it is TorchScript, which is a program"] = None
            return "torchscript"
        if any(name.rpartition("/")[2] == _TORCH_DATA for name in found):
            self._torch(found, depth)
            return "torch"
        if _KERAS_CONFIG in found and any(name.endswith(_KERAS_WEIGHTS) for name in found):
            self.found.code |= dict.fromkeys(keras_faults(found[_KERAS_CONFIG]))
            # The weights are read for their numbers alone, and the configuration is not in them.
            self._members({name: inner for name, inner in found.items() if not name.endswith(_KERAS_WEIGHTS)}, depth)
            return "keras"
        if _SKOPS_SCHEMA in found:
            self._skops(found[_SKOPS_SCHEMA])
        self._members(found, depth)
        if _SKOPS_SCHEMA in found:
            return "skops"
        return "npz" if found and all(name.endswith(".npy") for name in found) else "zip"

    def _members(self, found: Mapping[str, bytes], depth: int) -> None:
        for name, inner in found.items():
            if not name.endswith("/"):
                self._member(name, inner, depth)

    def _member(self, name: str, data: bytes, depth: int) -> None:
        before = set(self.found.unreadable)
        try:
            kind = self.kind_of(data, name, len(data), depth + 1)
        except Refused as error:
            kind = "unknown"
            self.found.unreadable[str(error)] = None
        if set(self.found.unreadable) - before:
            self.found.unreadable[f"that is its member {printable(name)} ({kind})"] = None

    def _torch(self, found: Mapping[str, bytes], depth: int) -> None:
        """The pickles in a file of Torch, whose persistent ids are its tensors' numbers, in the same archive."""
        others = {}
        for name, inner in found.items():
            if name.rpartition("/")[2] == _TORCH_DATA:
                first = walk(inner, 0, self.budget)
                first.reasons.pop(PERSISTENT, None)
                self._pickles(inner, first, depth, arrays=False)
            elif "/data/" not in f"/{name}":  # the numbers of a tensor, which nothing but a tensor is made of
                others[name] = inner
        self._members(others, depth)

    def _skops(self, data: bytes) -> None:
        """The classes that a file of skops names; its loader makes those that it is told to trust."""
        try:
            waiting = [json.loads(data)]
        except (ValueError, RecursionError) as error:
            raise Refused("its schema is damaged") from error
        while waiting:
            value = waiting.pop()
            if isinstance(value, list):
                waiting += value
            elif isinstance(value, dict):
                waiting += value.values()
                module, name = value.get("__module__"), value.get("__class__")
                if isinstance(module, str) and isinstance(name, str):
                    self.found.names[module, name] = True


_TRIES_MAX = 10_000
"""Places in an unknown file where a pickle is looked for; it stays unknown whatever is found."""

_PROTOCOLS = {bytes((number,)) for number in range(2, 6)}
