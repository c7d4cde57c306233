"""Check an exported log with nothing but Python: no Holdfast, no other library, no network.

    python -I verify.py LOG KEY [--checkpoint FILE]

LOG is what `holdfast audit export` wrote, KEY what `holdfast audit key` printed, or a file that holds it. FILE is a
checkpoint that you kept from an earlier day: then the log must begin with what it says. Prints `ok`, or the first line
that is bad.
"""

import argparse
import base64
import hashlib
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

P = 2**255 - 19
L = 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, -1, P) % P
I = pow(2, (P - 1) // 4, P)  # noqa: E741 - its name in RFC 8032: the square root of -1

Point = tuple[int, int, int, int]
Head = tuple[int, bytes]


class Bad(Exception):
    """What is wrong, in words."""


def add(a: Point, b: Point) -> Point:
    """The sum of two points (RFC 8032, section 5.1.4)."""
    e, f = (a[1] - a[0]) * (b[1] - b[0]) % P, (a[1] + a[0]) * (b[1] + b[0]) % P
    g, h = 2 * a[3] * b[3] * D % P, 2 * a[2] * b[2] % P
    e, f, g, h = f - e, h - g, h + g, f + e
    return (e * f % P, g * h % P, f * g % P, e * h % P)


def times(count: int, point: Point) -> Point:
    """The point added to itself."""
    found: Point = (0, 1, 1, 0)
    while count:
        if count & 1:
            found = add(found, point)
        point, count = add(point, point), count >> 1
    return found


def decoded(data: bytes) -> Point | None:
    """The point that 32 bytes are (RFC 8032, section 5.1.3)."""
    y, odd = int.from_bytes(data, "little") & (1 << 255) - 1, data[31] >> 7
    square = (y * y - 1) * pow(D * y * y + 1, -1, P) % P
    x = pow(square, (P + 3) // 8, P)
    if x * x % P != square:
        x = x * I % P
    if y >= P or x * x % P != square or (x == 0 and odd):
        return None
    x = x if x & 1 == odd else P - x
    return (x, y, 1, x * y % P)


BASE = decoded(bytes([0x58] + [0x66] * 31))


def signed(key: bytes, signature: bytes, text: bytes) -> bool:
    """Whether the Ed25519 signature is of this key and this text (RFC 8032, section 5.1.7)."""
    a, r, s = decoded(key), decoded(signature[:32]), int.from_bytes(signature[32:], "little")
    if a is None or r is None or BASE is None or s >= L:
        return False
    h = int.from_bytes(hashlib.sha512(signature[:32] + key + text).digest(), "little") % L
    left, right = times(s, BASE), add(r, times(h, a))
    return not (left[0] * right[2] - right[0] * left[2]) % P and not (left[1] * right[2] - right[1] * left[2]) % P


def opened(note: str, key: str) -> Head:
    """The size and the root that a signed checkpoint says (c2sp.org/signed-note, c2sp.org/tlog-checkpoint)."""
    name, key_id, public = key.strip().split("+", 2)
    kind = base64.b64decode(public, validate=True)
    if kind[:1] != b"\x01" or hashlib.sha256(name.encode() + b"\n" + kind).hexdigest()[:8] != key_id:
        raise Bad("the key is not one of a log")
    text, _, below = note.rpartition("\n\n")
    for line in below.splitlines():
        mark, signer, signature = [*line.split(" "), "", ""][:3]
        found = base64.b64decode(signature, validate=True)
        if (mark, signer, found[:4].hex(), len(found)) == ("\u2014", name, key_id, 68):
            origin, size, root = text.split("\n")[:3]
            if origin == name and signed(kind[1:], found[4:], f"{text}\n".encode()):
                return int(size), base64.b64decode(root, validate=True)
            raise Bad(f"the signature of {name} is not of this checkpoint")
    raise Bad(f"the checkpoint is not signed by {name}+{key_id}")


class Tree:
    """The Merkle tree of RFC 6962, section 2.1, growing at its right edge."""

    def __init__(self, size: int, edge: list[bytes]) -> None:
        self.size, self.edge = size, edge
        if len(edge) != size.bit_count():
            raise Bad("line 1: its edge is not that of so many events")

    def append(self, entry: bytes) -> None:
        """One entry more."""
        node, self.size = hashlib.sha256(b"\0" + entry).digest(), self.size + 1
        for _ in range((self.size & -self.size).bit_length() - 1):
            node = hashlib.sha256(b"\1" + self.edge.pop() + node).digest()
        self.edge.append(node)

    def root(self) -> bytes:
        """The hash over all of it."""
        node = self.edge[-1] if self.edge else hashlib.sha256().digest()
        for left in self.edge[-2::-1]:
            node = hashlib.sha256(b"\1" + left + node).digest()
        return node


def parsed(line: bytes, number: int) -> dict[str, Any]:
    """The JSON object in a line."""
    try:
        value = json.loads(line)
    except ValueError:
        value = None
    if not isinstance(value, dict):
        raise Bad(f"line {number}: not a JSON object")
    return value


def told_last(lines: Iterator[bytes]) -> Iterator[tuple[bytes, bool]]:
    """Each line, and whether it is the last one."""
    line = next(lines, b"")
    for following in lines:
        yield line.rstrip(b"\n"), False
        line = following
    yield line.rstrip(b"\n"), True


def check(lines: Iterator[bytes], key: str, kept: str | None) -> str:
    """Read all of it; what to say when it is good."""
    begin = parsed(next(lines, b""), 1)
    if begin.get("format") != "holdfast.log" or str(begin.get("version")).partition(".")[0] != "1":
        raise Bad("line 1: not a log that this program knows")
    tree = Tree(begin["since"], [bytes.fromhex(node) for node in begin["edge"]])
    old = None if kept is None else opened(kept, key)
    if old is not None and old[0] < tree.size:
        raise Bad(
            f"line 1: begins at event {tree.size}, behind the checkpoint that was kept: export with --since {old[0]}"
        )
    number, end, before = read(lines, tree, old)
    size, root = opened(end["checkpoint"], key)
    if size != tree.size:
        raise Bad(f"line {number}: event {tree.size} should stand here; {size} were signed, and the rest was cut off")
    if end.get("last") != before:
        raise Bad(f"line {number - 1}: it was edited")
    if root != tree.root():
        raise Bad("these events are not those that were signed: one was edited, and all behind it made to fit")
    if old is not None and old[0] > size:
        raise Bad(f"line {number}: the log ends at {size} events, and had {old[0]} before: its end was cut off")
    return f"ok: {tree.size} events, as signed by {key.partition('+')[0]}"


def read(lines: Iterator[bytes], tree: Tree, old: Head | None) -> tuple[int, dict[str, Any], str | None]:
    """Let the tree grow by every event; the number of the last line, what it says, and the hash of the last event."""
    broken, before = 0, None
    for number, (line, last) in enumerate(told_last(lines), 2):
        said = parsed(line, number)
        if broken:  # What stands behind a link that does not hold decides which of its two ends was edited.
            raise Bad(f"line {broken - (said.get('last' if last else 'prev') == before)}: it was edited")
        agree(tree, old)
        if last and "checkpoint" not in said:
            raise Bad(f"line {number}: no checkpoint stands behind the events; the end of the file was cut off")
        if last:
            return number, said, before
        if said.get("index") != tree.size:
            raise Bad(f"line {number}: event {tree.size} should stand here; it was taken out or moved")
        broken = number if before is not None and said.get("prev") != before else 0
        before = "sha256:" + hashlib.sha256(line).hexdigest()
        tree.append(line)
    raise Bad("line 2: nothing stands here")


def agree(tree: Tree, old: Head | None) -> None:
    """Hold the tree against the checkpoint that was kept, when it comes to that size."""
    if old is not None and old[0] == tree.size and old[1] != tree.root():
        raise Bad(f"the first {old[0]} events are not those of the checkpoint that was kept: the log was written anew")


def main() -> int:
    """Check, and say what was found."""
    parser = argparse.ArgumentParser(description="Check an exported log.")
    parser.add_argument("log", type=Path)
    parser.add_argument("key", help="the log's key, or a file that holds it")
    parser.add_argument("--checkpoint", type=Path, help="one that was kept from an earlier day")
    asked = parser.parse_args()
    key = asked.key if "+" in asked.key else Path(asked.key).read_text(encoding="utf-8")
    kept = None if asked.checkpoint is None else asked.checkpoint.read_text(encoding="utf-8")
    try:
        with asked.log.open("rb") as lines:
            sys.stdout.write(f"{check(iter(lines), key, kept)}\n")
    except (Bad, ValueError, KeyError, TypeError) as error:
        sys.stdout.write(f"BAD: {error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
