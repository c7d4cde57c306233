"""Files that an attacker might write, made here byte by byte. Nothing in the tests ever loads one."""

import bz2
import gzip
import io
import lzma
import os
import pickle
import zipfile
import zlib
from collections.abc import Callable
from typing import Any

import numpy as np

__all__ = ["ATTACKS", "CALL", "short", "zipped"]

CALL = b"cos\nsystem\n(S'true'\ntR."
"""The oldest of them all: import a name, call it."""


def short(text: str) -> bytes:
    """The instruction that puts a short text on the stack."""
    data = text.encode()
    return b"\x8c" + bytes((len(data),)) + data


def raw_bytes(data: bytes) -> bytes:
    """The instruction that puts bytes on the stack."""
    return b"B" + len(data).to_bytes(4, "little") + data


def zipped(members: dict[str, bytes], compression: int = zipfile.ZIP_STORED) -> bytes:
    """An archive of these members."""
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w", compression) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return sink.getvalue()


def npy(array: np.ndarray[Any, Any], behind: bytes = b"") -> bytes:
    """An array as NumPy writes it."""
    sink = io.BytesIO()
    np.save(sink, array, allow_pickle=True)
    return sink.getvalue() + behind


def behind_the_header_of_references() -> bytes:
    """A file of references whose pickle is another one."""
    whole = npy(np.array([None], dtype=object))
    return whole[: whole.index(b"\x80")] + CALL


def gif_and_pickle() -> bytes:
    """A picture whose first letter is an instruction that takes eight bytes."""
    return b"GIF89a" + b"xxx" + CALL + b";"


class _Calls:
    def __reduce__(self) -> tuple[Callable[..., object], tuple[str]]:
        return os.system, ("true",)


def joblib_array(state: bytes, behind: bytes) -> bytes:
    """A stream of joblib with one array, whose state and bytes are given."""
    wrapper = short("joblib.numpy_pickle") + short("NumpyArrayWrapper") + b"\x93)\x81"
    return b"\x80\x04" + wrapper + state + b"b" + behind


def array_state(count: int, dtype: bytes) -> bytes:
    """The state of an array of joblib."""
    return (
        b"}("
        + short("subclass") + short("numpy") + short("ndarray") + b"\x93"
        + short("shape") + b"K" + bytes((count,)) + b"\x85"
        + short("order") + short("C")
        + short("dtype") + dtype
        + short("allow_mmap") + b"\x88"
        + short("numpy_array_alignment_bytes") + b"K\x10u"
    )  # fmt: skip


NUMPY_FLOATS = short("numpy") + short("dtype") + b"\x93" + short("f8") + b"\x89\x88\x87R"
LYING_FLOATS = NUMPY_FLOATS + b"(K\x03" + short("<") + b"NNNJ\x01\0\0\0J\xff\xff\xff\xffK\x00tb"
"""A type that says to take eight bytes, and whose state says one."""

ATTACKS: dict[str, bytes] = {
    "called": CALL,
    "called by every protocol's own way": pickle.dumps(_Calls(), 0),
    "called under protocol 5": pickle.dumps(_Calls(), 5),
    "made an instance": b"(S'true'\nios\nsystem\n.",
    "made an instance of the first": b"(cos\nsystem\nS'true'\no.",
    "made new": b"\x80\x02cos\nsystem\n)\x81.",
    "made new with keywords": b"\x80\x04" + short("os") + short("system") + b"\x93)}\x92.",
    "given as a state": b"\x80\x02csklearn.svm._classes\nSVC\n)\x81}S'__setstate__'\ncos\nsystem\nsb.",
    "changes a class": b"\x80\x02csklearn.svm._classes\nSVC\nN}S'predict'\ncnumpy\nmean\ns\x86b.",
    "by getattr": b"c__builtin__\ngetattr\n(c__builtin__\n__import__\n(S'os'\ntRS'system'\ntR(S'true'\ntR.",
    "under a name of Python 2": b"ccommands\ngetoutput\n(S'true'\ntR.",
    "through the names of another module": b"\x80\x04" + short("numpy") + short("f2py.os.system") + b"\x93.",
    "through a module that imported it": b"csklearn.utils.parallel\n_FuncWrapper\n)R.",
    "out of the memo": b"S'system'\np0\n0S'os'\np1\n0\x80\x04g1\ng0\n\x93" + short("true") + b"\x85R.",
    "out of the memo, twice on the stack": b"\x80\x04" + short("os") + b"\x942" + short("system") + b"\x930" + CALL,
    "a name that is computed": b"\x80\x04" + short("os") + b"c_codecs\nencode\n" + short("flfgrz") + short("rot13")
    + b"\x86R\x93" + short("true") + b"\x85R.",
    "an extension": b"\x80\x02\x82\x01)R.",
    "an extension of two bytes": b"\x80\x02\x83\x01\x01)R.",
    "an extension of four bytes": b"\x80\x02\x84\x01\x01\x01\x01)R.",
    "a persistent id": b"\x80\x02X\x01\0\0\0aQ.",
    "what it made is called": b"\x80\x02csklearn.gaussian_process.kernels\nRBF\n)R)R.",
    "what it made is appended to": b"\x80\x02csklearn.svm._classes\nSVC\n)\x81}S'append'\ncnumpy\nmean\nsbI1\na.",
    "held but called": b"cnumpy\nmean\n(S'true'\ntR.",
    "a text that is run when it is unpickled": b"\x80\x02cscipy.stats._continuous_distns\nuniform_gen\n)\x81}b.",
    "loads of bytes": b"\x80\x03c_pickle\nloads\n" + raw_bytes(CALL) + b"\x85R.",
    "bytes that are a pickle": b"\x80\x03" + raw_bytes(CALL) + b".",
    "bytes that are a compressed pickle": b"\x80\x03" + raw_bytes(zlib.compress(CALL)) + b".",
    "a second pickle": pickle.dumps([1, 2]) + CALL,
    "something behind": pickle.dumps([1, 2]) + b"something",
    "cut off": pickle.dumps({"a": list(range(100))})[:-5],
    "a protocol that there is not": b"\x80\x06N.",
    "a protocol that changes": b"\x80\x05" + b"\x80\x00" + CALL,
    "an instruction that there is not": b"\x80\x04\xfe.",
    "a frame in a frame": b"\x80\x04\x95\x20\0\0\0\0\0\0\0\x95\x01\0\0\0\0\0\0\0" + CALL.ljust(40),
    "compressed": gzip.compress(CALL),
    "compressed twice": bz2.compress(lzma.compress(CALL)),
    "compressed in a way that is not read": b"\x04\x22\x4d\x18" + CALL,
    "compressed, and something behind": zlib.compress(pickle.dumps(1)) + CALL,
    "in an archive under another name": zipped({"weights.txt": CALL}),
    "in an archive in an archive": zipped({"a.zip": zipped({"b": gzip.compress(CALL)}, zipfile.ZIP_DEFLATED)}),
    "a pickle before an archive": b"\x80\x02X\x01\0\0\0a." + zipped({"a": b"1"}),
    "an archive with a call before it": CALL + zipped({"a": b"1"}),
    "an archive with something between": zipped({"a": b"1"}).replace(b"PK\x01\x02", CALL + b"PK\x01\x02", 1),
    "an archive that lies about a sum": zipped({"a": b"1" * 40}).replace(b"1" * 40, b"1" * 39 + b"2"),
    "references in an array": npy(np.array([_Calls()], dtype=object)),
    "a call where references belong": behind_the_header_of_references(),
    "a call behind an array": npy(np.zeros(3), CALL),
    "a pickle behind an array": npy(np.zeros(3), pickle.dumps(1)),
    "references in an archive of arrays": zipped({"a.npy": npy(np.array([_Calls()], dtype=object))}),
    "a picture that is a pickle": gif_and_pickle(),
    "a call in the numbers of joblib": joblib_array(array_state(8, LYING_FLOATS), b"\x01\xff" + CALL.ljust(64)),
    "joblib's place-holder passed on": b"\x80\x04" + short("joblib.numpy_pickle") + short("NumpyArrayWrapper")
    + b"\x93\x85.",
    "an array of joblib read twice": joblib_array(array_state(0, NUMPY_FLOATS), b"\x01\xff") + CALL,
    "TorchScript": zipped({"m/data.pkl": b"N.", "m/constants.pkl": b"N.", "m/code/m.py": b"x"}),
    "a layer of Keras that runs": zipped(
        {"config.json": b'{"layers":[{"class_name":"Lambda"}]}', "metadata.json": b"{}", "model.weights.h5": b"1"}
    ),
    "a module in Keras": zipped(
        {"config.json": b'{"module":"os","class_name":"system"}', "metadata.json": b"{}", "model.weights.h5": b"1"}
    ),
    "HDF5": b"\x89HDF\r\n\x1a\n" + b"\0" * 100,
    "a shell script": b"#!/bin/sh\ntrue\n",
    "a shared library": b"\x7fELF" + b"\0" * 60,
    "a program of Windows": b"MZ" + b"\0" * 60,
    "bytes of no kind": bytes(range(256)),
}  # fmt: skip
"""What must never come out as data, nor as allowed, by what it does."""
