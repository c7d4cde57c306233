"""The program that needs no Holdfast, in an interpreter that has none; and the arithmetic in it."""

import hashlib
import json
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.canonical import encode
from holdfast.digest import hash_bytes
from holdfast.registry.checkpoints import SignerKey
from holdfast.upkeep.audit import offline
from holdfast.upkeep.audit.logbook import OFFLINE, Logbook
from tests.upkeep.audit.conftest import EVENTS, Place, Write

LINES_MAX = 210
"""Somebody reads it before they trust it."""

# RFC 8032, section 7.1: TEST 1 to 3, 1024 is left out for its length, and SHA(abc).
RFC_8032 = [
    (
        "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
        "",
        "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b",
    ),
    (
        "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
        "72",
        "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00",
    ),
    (
        "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025",
        "af82",
        "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a",
    ),
    (
        "ec172b93ad5e563bf4932c70e1245034c35467ef2efd4d64ebf819683467e2bf",
        hashlib.sha512(b"abc").hexdigest(),
        "dc2a4459e7369633a52b1bf277839a00201009a3efbf3ecb69bea2186c26b58909351fc9ac90b3ecfdfbc7c66431e0303dca179c138ac17ad9bef1177331a704",
    ),
]


@pytest.mark.parametrize(("key", "text", "signature"), RFC_8032)
def test_the_vectors_of_the_rfc_are_good_and_nothing_near_them_is(key: str, text: str, signature: str) -> None:
    one, two, three = (bytes.fromhex(part) for part in (key, signature, text))
    assert offline.signed(one, two, three)
    assert not offline.signed(one, two, three + b"x")
    for place in (0, 31, 32, 63):
        spoilt = bytearray(two)
        spoilt[place] ^= 1
        assert not offline.signed(one, bytes(spoilt), three)
    larger = int.from_bytes(two[32:], "little") + offline.L
    assert not offline.signed(one, two[:32] + larger.to_bytes(32, "little"), three), "one signature has one form"
    assert not offline.signed(b"\xff" * 32, two, three)


@given(st.binary(min_size=32, max_size=32), st.binary(max_size=64))
def test_it_agrees_with_the_library_that_signs(seed: bytes, text: bytes) -> None:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    private = Ed25519PrivateKey.from_private_bytes(seed)
    assert offline.signed(private.public_key().public_bytes_raw(), private.sign(text), text)


def checked(path: Path, key: str, *more: str) -> tuple[int, str]:
    done = subprocess.run(
        [sys.executable, "-I", "-S", str(OFFLINE), str(path), key, *more], capture_output=True, text=True, check=False
    )
    assert done.stderr == ""
    return done.returncode, done.stdout.strip()


def said(lines: list[bytes], place: Place, kept: str | None = None) -> str:
    try:
        return offline.check(iter(lines), str(place.key.make()), kept)
    except offline.Bad as error:
        return str(error)


@pytest.mark.slow
def test_it_runs_where_there_is_no_holdfast(
    place: Place, exported: list[bytes], written: Write, tmp_path: Path
) -> None:
    path, key = written(exported), tmp_path / "key"
    key.write_text(f"{place.key.make()}\n")
    good = (0, f"ok: {EVENTS} events, as signed by {place.key.origin()}")
    assert checked(path, str(key)) == checked(path, str(place.key.make())) == good
    written([*exported[:3], exported[3].replace(b"try", b"cry"), *exported[4:]])
    assert checked(path, str(key)) == (1, "BAD: line 4: it was edited")
    assert len(OFFLINE.read_text().splitlines()) <= LINES_MAX
    imported = {line.split()[1] for line in OFFLINE.read_text().splitlines() if line.startswith(("import ", "from "))}
    assert {name.partition(".")[0] for name in imported} <= sys.stdlib_module_names


@pytest.mark.parametrize("number", range(2, EVENTS + 2))
def test_the_first_bad_line_is_named(place: Place, exported: list[bytes], number: int) -> None:
    before, line, behind = exported[: number - 1], exported[number - 1], exported[number:]
    event = number - 2
    edited = line.replace(b'"actor":"ana"', b'"actor":"eve"')
    assert said([*before, edited, *behind], place) == f"line {number}: it was edited"
    assert f"line {number}: event {event} should stand here" in said([*before, *behind], place)
    assert f"line {number}: " in said([*before, b"{\n", *behind], place)
    if number > 2:
        fields = json.loads(line)
        other = encode({**fields, "prev": f"sha256:{'0' * 64}"}) + b"\n"
        assert said([*before, other, *behind], place) == f"line {number}: it was edited"
    if number < EVENTS + 1:
        assert f"line {number}: event {event} should stand here" in said([*before, behind[0], line, *behind[1:]], place)
    if event:
        assert f"line {number + 1}: event {event + 1} should stand here" in said([*before, line, line, *behind], place)
    assert "the end of the file was cut off" in said([*before, line], place)


def test_an_export_whose_chain_was_made_to_fit_is_not_what_was_signed(place: Place, exported: list[bytes]) -> None:
    lines, prev = [exported[0]], None
    for line in exported[1:-1]:
        event = {**json.loads(line), "prev": prev}
        if event["index"] == 2:
            event["reason"] = "another story"
        lines.append(encode(event) + b"\n")
        prev = str(hash_bytes(lines[-1].rstrip()))
    end = {**json.loads(exported[-1]), "last": prev}
    assert "not those that were signed" in said([*lines, encode(end) + b"\n"], place)


def test_a_shorter_log_with_an_older_checkpoint_is_found_by_a_later_one(place: Place, book: Logbook) -> None:
    old = b"".join(book.export()).splitlines(keepends=True)
    place.register(20)
    kept = book.checkpoint().decode()
    assert said(old, place).startswith("ok: ")
    assert "the log ends at 6 events, and had 7 before" in said(old, place, kept)


def test_a_log_that_was_signed_anew_is_found_by_an_earlier_checkpoint(place: Place, book: Logbook) -> None:
    kept = book.checkpoint().decode()
    signer = SignerKey.parse((place.home / "log/key").read_text())
    lines = b"".join(book.export()).splitlines(keepends=True)
    tree = offline.Tree(0, [])
    forged = [lines[0]]
    prev = None
    for line in lines[1:-1]:
        event = {**json.loads(line), "prev": prev, "reason": "another story"}
        forged.append(encode(event) + b"\n")
        prev = str(hash_bytes(forged[-1].rstrip()))
        tree.append(forged[-1].rstrip())
    from base64 import b64encode

    note = signer.sign(f"{signer.name}\n{tree.size}\n{b64encode(tree.root()).decode()}\n").decode()
    forged.append(encode({"checkpoint": note, "last": prev}) + b"\n")
    assert said(forged, place).startswith("ok: "), "whoever has the key can sign another story"
    assert "the log was written anew" in said(forged, place, kept)


def test_a_part_is_checked_from_where_the_last_one_ended(place: Place, book: Logbook) -> None:
    kept = book.checkpoint().decode()
    place.register(20, 21)
    for since in range(EVENTS + 3):
        part = b"".join(book.export(since)).splitlines(keepends=True)
        assert len(part) == 2 + EVENTS + 2 - since
        assert said(part, place).startswith(f"ok: {EVENTS + 2} events")
        if since <= EVENTS:
            assert said(part, place, kept).startswith("ok: ")
        else:
            assert f"export with --since {EVENTS}" in said(part, place, kept)
        header = json.loads(part[0])
        if header["edge"]:
            other = {**header, "edge": ["00" * 32, *header["edge"][1:]]}
            assert "ok" not in said([encode(other) + b"\n", *part[1:]], place)


@pytest.mark.parametrize("line", [b"", b"{}", b"[]", b'{"format":"holdfast.log","version":"2.0"}', b"\xff"])
def test_what_is_no_export_is_said_to_be_none(place: Place, line: bytes) -> None:
    assert said([line], place).startswith("line 1: ")


def test_a_stranger_s_key_or_signature_is_no_good(place: Place, exported: list[bytes]) -> None:
    stranger = SignerKey(place.key.origin(), bytes(32))
    with pytest.raises(offline.Bad, match="is not signed by"):
        offline.check(iter(exported), str(stranger.verifier()), None)
    end = json.loads(exported[-1])
    note = end["checkpoint"]
    for other in (note.replace("\n6\n", "\n7\n"), note[:-9] + "AAAAAAA=\n"):
        line = encode({**end, "checkpoint": other}) + b"\n"
        try:
            answer = said([*exported[:-1], line], place)
        except ValueError:
            continue
        assert not answer.startswith("ok")


def test_an_empty_log_is_a_good_one(tmp_path: Path) -> None:
    place = Place(tmp_path)
    book = place.book()
    lines = b"".join(book.export()).splitlines(keepends=True)
    assert len(lines) == 2
    assert said(lines, place).startswith("ok: 0 events")
    book.registry._database.close()  # type: ignore[attr-defined]
