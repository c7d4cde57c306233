"""Folders of files from a seed: the same seed and scale make the same bytes, and nothing is downloaded.

Small files (`small_files`) are, by number, 30 % CSV-like, 25 % JSON-like and 15 % text-like, all of which compress to
about half, and 30 % image-like bytes that nothing makes smaller. Sizes are log-normal around 8 kB for text and 30 kB
for images, and then scaled so that their sum is what was asked for: 50,000 files of 814 MB, of which about 60 % are
images. Tiny files (`tiny_files`) are JSON-like, 24 bytes to 2 kB, each size as likely on a logarithmic scale. Every
file begins with its own number, so that no two are alike.
"""

import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

SEED = 20_001

SMALL_FILES = 50_000
SMALL_BYTES = 814_000_000
SMALL_IN_A_FOLDER = 100

TINY_FILES = 1_000_000
TINY_FOLDERS = 1_000
TINY_BYTES_MIN, TINY_BYTES_MAX = 24, 2_000

TOKEN = 8  # bytes
TOKENS = 4_096
BLOCK_BYTES = 1 << 24

KINDS = (("csv", 0.30, 8_000), ("json", 0.25, 8_000), ("txt", 0.15, 8_000), ("jpg", 0.30, 30_000))
"""The ending, the share by number, and the middle of the sizes in bytes before they are scaled."""


def _csv_tokens(rng: np.random.Generator) -> list[bytes]:
    return [f"{number:7.3f},".encode()[-TOKEN:] for number in rng.normal(100, 40, TOKENS).clip(0, 999)]


def _json_tokens(rng: np.random.Generator) -> list[bytes]:
    keys = [b'"lat":  ', b'"lon":  ', b'"name": ', b'"size": ', b'"when": ', b'"ok":   ']
    values = [f"{number:6d}, ".encode() for number in rng.integers(0, 999_999, TOKENS)]
    return [keys[place % len(keys)] if place % 2 else value for place, value in enumerate(values)]


def _word_tokens(rng: np.random.Generator) -> list[bytes]:
    letters = np.frombuffer(b"etaoinshrdlucmfw", dtype=np.uint8)
    words = letters[(rng.random((TOKENS, TOKEN - 1)) ** 1.5 * len(letters)).astype(np.int64)]
    return [bytes(word[: 2 + place % 6]).ljust(TOKEN) for place, word in enumerate(words)]


@dataclass(slots=True)
class _Stream:
    """An endless stream of bytes of one kind, made a block at a time."""

    block: Callable[[], bytes]
    held: bytes = b""
    place: int = 0

    def take(self, size: int) -> bytes:
        """The next `size` bytes."""
        if self.place + size > len(self.held):
            self.held, self.place = self.held[self.place :], 0
            while len(self.held) < size:
                self.held += self.block()
        self.place += size
        return self.held[self.place - size : self.place]


def _stream(kind: str, rng: np.random.Generator) -> _Stream:
    makers = {"csv": _csv_tokens, "json": _json_tokens, "txt": _word_tokens}
    if kind not in makers:
        return _Stream(lambda: rng.bytes(BLOCK_BYTES))
    words = np.array(makers[kind](rng), dtype=f"S{TOKEN}").view(np.uint8).reshape(TOKENS, TOKEN)

    def block() -> bytes:
        # Squared, so that some words come often and most come rarely, as in what people write.
        chosen = words[(rng.random(BLOCK_BYTES // TOKEN) ** 2 * TOKENS).astype(np.int64)]
        chosen[9::10, -1] = ord("\n")
        return chosen.tobytes()

    return _Stream(block)


def small_files(folder: Path, scale: float, seed: int = SEED) -> int:
    """Write the small files; how many bytes they hold."""
    count = max(20, round(SMALL_FILES * scale))
    rng = np.random.default_rng(seed)
    kinds = rng.choice(len(KINDS), size=count, p=[share for _, share, _ in KINDS])
    sizes = np.array([middle for _, _, middle in KINDS])[kinds] * rng.lognormal(0, 0.8, count)
    sizes = np.maximum(64, sizes * (SMALL_BYTES * scale / sizes.sum())).astype(np.int64)
    streams = [_stream(kind, np.random.default_rng([seed, place])) for place, (kind, _, _) in enumerate(KINDS)]
    for number, (kind, size) in enumerate(zip(kinds.tolist(), sizes.tolist(), strict=True)):
        place = folder / f"{number // SMALL_IN_A_FOLDER:05d}"
        if number % SMALL_IN_A_FOLDER == 0:
            place.mkdir(parents=True)
        head = f"{seed} {number:08d}\n".encode()
        (place / f"{number:08d}.{KINDS[kind][0]}").write_bytes(head + streams[kind].take(max(0, size - len(head))))
    return int(sizes.sum())


def change_small_files(folder: Path, seed: int = SEED + 1) -> tuple[int, int]:
    """Rewrite 1 % of the files and add 1 % new ones; how many of each. No file is written in place.

    A file that is rewritten keeps its name and gets other bytes of the same number: what only its times can show.
    """
    rng = np.random.default_rng(seed)
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    count = max(1, len(paths) // 100)
    for number, place in enumerate(sorted(rng.choice(len(paths), count, replace=False).tolist())):
        replace(paths[place], _other_bytes(rng, number, paths[place].stat().st_size))
    for number in range(count):
        model = paths[int(rng.integers(len(paths)))]
        replace(model.with_name(f"new-{number:06d}{model.suffix}"), _other_bytes(rng, number, model.stat().st_size))
    return count, count


def _other_bytes(rng: np.random.Generator, number: int, size: int) -> bytes:
    return (f"changed {number:08d}\n".encode() + rng.bytes(size))[:size]


def tiny_files(folder: Path, scale: float, seed: int = SEED) -> int:
    """Write the tiny files, a thousand to a folder at full scale; how many bytes they hold."""
    count = max(100, round(TINY_FILES * scale))
    folders = max(10, round(TINY_FOLDERS * scale**0.5)) if scale < 1 else TINY_FOLDERS
    rng = np.random.default_rng(seed)
    sizes = np.exp(rng.uniform(np.log(TINY_BYTES_MIN), np.log(TINY_BYTES_MAX), count)).astype(np.int64)
    stream = _stream("json", np.random.default_rng([seed, 1]))
    each = -(-count // folders)
    for first in range(0, count, each):
        place = folder / f"{first // each:04d}"
        place.mkdir(parents=True)
        inside = os.open(place, os.O_RDONLY)
        try:
            for number in range(first, min(first + each, count)):
                size = int(sizes[number])
                # By name within an open folder: a million paths resolved from the root are seconds of their own.
                file = os.open(f"{number:07d}.json", os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644, dir_fd=inside)
                os.write(file, (b'{"n": %d, ' % number + stream.take(size))[: max(size, 18)])
                os.close(file)
        finally:
            os.close(inside)
    return int(sizes.sum())


def random_file(path: Path, size: int, seed: int) -> None:
    """Write one file of bytes that nothing makes smaller, with flat memory."""
    rng = np.random.default_rng(seed)
    with path.open("wb") as file:
        for block in _blocks(size):
            file.write(rng.bytes(block))


def checkpoint(path: Path, size: int, version: int, seed: int = SEED) -> None:
    """Write version 1, 2, 3 … of a file of which the last 5 % differ from version to version."""
    tail = size // 20
    random_file(path, size - tail, seed)
    rng = np.random.default_rng([seed, version])
    with path.open("ab") as file:
        for block in _blocks(tail):
            file.write(rng.bytes(block))


def _blocks(size: int) -> Iterator[int]:
    for start in range(0, size, BLOCK_BYTES):
        yield min(BLOCK_BYTES, size - start)


def replace(path: Path, data: bytes) -> None:
    """Write a file beside and rename it: whatever shares the old file's bytes by a hard link keeps them."""
    beside = path.with_name(f"{path.name}.new")
    beside.write_bytes(data)
    beside.replace(path)


def hand_over(master: Path, target: Path, *, copied: bool) -> None:
    """Give a tool the data: as hard links where it only reads them, as a copy where it may touch the files."""
    shutil.copytree(master, target, copy_function=shutil.copyfile if copied else os.link)
