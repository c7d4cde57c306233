"""Checkpoints and keys, byte for byte as Go's `sumdb/note` and the specifications have them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.digest import Digest
from holdfast.errors import IntegrityError, UnsupportedFormat
from holdfast.registry.checkpoints import Checkpoint, SignerKey, VerifierKey, proof_text
from holdfast.registry.merkle import Head

# The example of the documentation of golang.org/x/mod/sumdb/note.
SECRET = "PRIVATE+KEY+PeterNeumann+c74f20a3+AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz"
PUBLIC = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
TEXT = "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n"
SIGNED = "x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM="
NOTE = f"{TEXT}\n— PeterNeumann {SIGNED}\n"

# The keys of two logs that many programs verify every day.
KNOWN = [
    PUBLIC,
    "sum.golang.org+033de0ae+Ac4zctda0e5eza+HJyk9SxEdh+s3Ux18htTTAD8OuAn8",
    "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k",
]

KEY = SignerKey("churn-1f2e3d4c", bytes(range(32)))
HEAD = Head(42, Digest("0ac5186a91863e8e1d90c808014aa89bf5da8e3ee1d9f07630f0378f68f1ab62"))
GOLDEN = "churn-1f2e3d4c\n42\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n\n"
SIGNATURE = "Z98ZGPx73Oxo96/56FgSnQ92TMCTgGbtWeoWEazdVXvaiWR8iBXjedyXamKQ4oULbDbzzVJvyYAul3IgjZh5+9SbMgI="


def test_a_note_is_signed_as_go_signs_it() -> None:
    assert SignerKey.parse(SECRET).sign(TEXT).decode() == NOTE


@pytest.mark.parametrize("text", KNOWN)
def test_a_key_is_read_and_written_as_go_writes_it(text: str) -> None:
    key = VerifierKey.parse(text)
    assert str(key) == text
    assert VerifierKey.parse(f"{text}\n") == key


def test_the_halves_of_a_key_belong_together() -> None:
    signer = SignerKey.parse(SECRET)
    assert signer.secret() == SECRET
    assert str(signer.verifier()) == PUBLIC
    assert "AYEK" not in repr(signer)
    assert signer.seed.hex() not in repr(signer)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "PeterNeumann",
        PUBLIC[:-4],
        PUBLIC.replace("c74f20a3", "c74f20a4"),
        PUBLIC.replace("Peter", "Pete"),
        PUBLIC.replace("ARpc", "ARpd"),
        PUBLIC.replace("PeterNeumann", "Peter Neumann"),
        "PeterNeumann+cc469956+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TWBADKEY==",
        "PeterNeumann+173116ae+ZRpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW",
    ],
)
def test_what_is_no_key_is_refused(text: str) -> None:
    with pytest.raises(UnsupportedFormat):
        VerifierKey.parse(text)
    with pytest.raises(UnsupportedFormat):
        SignerKey.parse(f"PRIVATE+KEY+{text}")


def test_a_checkpoint_is_three_lines_and_their_signature() -> None:
    note = KEY.sign(Checkpoint("churn-1f2e3d4c", HEAD).text())
    assert note.decode().startswith(GOLDEN)
    assert note.decode()[len(GOLDEN) :] == "— churn-1f2e3d4c " + SIGNATURE + "\n"
    assert KEY.verifier().open(note) == Checkpoint("churn-1f2e3d4c", HEAD) == Checkpoint.parse(note.decode())


def test_signatures_of_others_stand_beside_and_are_passed_over() -> None:
    note = KEY.sign(Checkpoint("churn-1f2e3d4c", HEAD).text())
    witness = SignerKey("witness.example", bytes(32)).sign(Checkpoint("churn-1f2e3d4c", HEAD).text())
    both = note + witness.rpartition(b"\n\n")[2] + "— other mJirIg==\n".encode()
    assert KEY.verifier().open(both).head == HEAD
    with pytest.raises(IntegrityError, match="not signed by"):
        KEY.verifier().open(witness)


@given(st.integers(0, 300), st.integers(1, 255))
def test_a_note_that_was_edited_anywhere_is_refused(place: int, change: int) -> None:
    note = bytearray(KEY.sign(Checkpoint("churn-1f2e3d4c", HEAD).text()))
    note[place % len(note)] ^= change
    with pytest.raises((IntegrityError, UnsupportedFormat)):
        KEY.verifier().open(bytes(note))


@pytest.mark.parametrize(
    "text",
    ["", "a\n", "a\n1\n", "a b\n1\n", "a\n01\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n", "a\n1\nx\n", "a\n-1\n"],
)
def test_what_is_no_checkpoint_is_refused(text: str) -> None:
    with pytest.raises(UnsupportedFormat):
        Checkpoint.parse(text)
    with pytest.raises(UnsupportedFormat):
        KEY.verifier().open(KEY.sign(text or "\n"))


def test_a_proof_stands_in_front_of_its_checkpoint() -> None:
    assert proof_text(7, (b"a" * 32, b"b" * 32), NOTE.encode()).decode() == (
        "c2sp.org/tlog-proof@v1\n"
        "index 7\n"
        "YWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWE=\n"
        "YmJiYmJiYmJiYmJiYmJiYmJiYmJiYmJiYmJiYmJiYmI=\n"
        f"\n{NOTE}"
    )
