"""What a signature proves, and everything that must prove nothing: there is no third answer."""

import json
from base64 import b64decode, b64encode
from collections.abc import Callable
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from hypothesis import given
from hypothesis import strategies as st

from holdfast.digest import Digest, hash_bytes
from holdfast.errors import PermissionRefused, TooLarge, UnsupportedFormat
from holdfast.manifest import BUNDLE_FILES_MAX
from holdfast.signing import KEY_BYTES_MAX, SIGNATURE_BYTES_MAX, Envelope, PrivateKey, PublicKey, Statement, judge, sign
from holdfast.signing.envelope import pre_authentication
from tests.signatures import key_of

FILES = {path: hash_bytes(path.encode()) for path in ("CARD.md", "code/a.py", "code-b.py", "holdfast.json")}
KEY = key_of("ana")

Json = dict[str, Any]
Change = Callable[[Json], object]


def signed(payload: bytes, key: PrivateKey = KEY) -> bytes:
    """Any bytes with a good signature: what is refused then is refused for what they say."""
    return Envelope(payload, key.sign(pre_authentication(payload)), key.public.hint).encode()


def statement(change: Change = lambda _: None) -> bytes:
    said: Json = json.loads(Statement("churn", FILES).encode())
    change(said)
    return json.dumps(said).encode()


def fault(body: bytes, key: PublicKey = KEY.public) -> str:
    return judge(body, key, FILES).fault


def test_a_signature_over_exactly_these_files_is_good() -> None:
    body = sign(Statement("churn", FILES), KEY)
    assert judge(body, KEY.public, FILES).is_good
    assert fault(signed(statement())) == ""
    assert Statement.parse(Statement("churn", FILES).encode()) == Statement("churn", FILES)
    assert Envelope.parse(body).encode() == body


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ({**FILES, "CARD.md": hash_bytes(b"other")}, "it is over other bytes of CARD.md"),
        ({**FILES, "evil.py": hash_bytes(b"x")}, "it says nothing of evil.py"),
        ({path: digest for path, digest in FILES.items() if path != "CARD.md"}, "files that are not there: CARD.md"),
        ({}, "files that are not there: CARD.md, code-b.py, code/a.py and 1 more"),
        ({"card.md" if path == "CARD.md" else path: digest for path, digest in FILES.items()}, "nothing of card.md"),
    ],
)
def test_a_signature_over_other_files_says_which(files: dict[str, Digest], said: str) -> None:
    assert said in judge(sign(Statement("churn", FILES), KEY), KEY.public, files).fault


def test_another_key_does_not_fit_whatever_the_signature_says_of_its_key() -> None:
    bob = key_of("bob")
    body = sign(Statement("churn", FILES), bob)
    assert "another key" in fault(body)
    for hint in (KEY.public.hint, None):
        said = json.loads(body)
        said["verificationMaterial"]["publicKey"] = {} if hint is None else {"hint": hint}
        assert "damaged, or not by the key" in fault(json.dumps(said).encode())


@given(place=st.integers(0), bit=st.integers(0, 7))
def test_no_turned_bit_is_a_good_signature_of_other_files(place: int, bit: int) -> None:
    body = bytearray(sign(Statement("churn", FILES), KEY))
    body[place % len(body)] ^= 1 << bit
    judged = judge(bytes(body), KEY.public, FILES)
    # A bit of what nobody signs may change how the file looks; what was signed then still is what it was.
    assert judged.fault or Envelope.parse(bytes(body)).payload == Statement("churn", FILES).encode()


@given(data=st.binary(max_size=64) | st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
).map(lambda value: json.dumps(value).encode()))  # fmt: skip
def test_whatever_cannot_be_read_is_a_fault_and_never_an_error(data: bytes) -> None:
    assert fault(data)
    assert fault(signed(data or b" "))


WRAPPINGS: dict[str, Change] = {
    "no media type": lambda said: said.pop("mediaType"),
    "another media type": lambda said: said.update(mediaType="application/vnd.dev.sigstore.bundle.v0.2+json"),
    "a media type that is a list": lambda said: said.update(mediaType=[said["mediaType"]]),
    "no key": lambda said: said["verificationMaterial"].pop("publicKey"),
    "a key that is null": lambda said: said["verificationMaterial"].update(publicKey=None),
    "a certificate instead": lambda said: said.update(verificationMaterial={"certificate": {"rawBytes": "AA=="}}),
    "a certificate beside": lambda said: said["verificationMaterial"].update(x509CertificateChain={"certificates": []}),
    "an entry of a log": lambda said: said["verificationMaterial"].update(tlogEntries=[{}]),
    "a stamp": lambda said: said["verificationMaterial"].update(timestampVerificationData={"rfc3161Timestamps": [1]}),
    "a hint that is none": lambda said: said["verificationMaterial"]["publicKey"].update(hint="none"),
    "a hint that is a number": lambda said: said["verificationMaterial"]["publicKey"].update(hint=1),
    "no envelope": lambda said: said.pop("dsseEnvelope"),
    "two kinds of signature": lambda said: said.update(messageSignature={"signature": "AA=="}),
    "another payload type": lambda said: said["dsseEnvelope"].update(payloadType="application/json"),
    "no payload type": lambda said: said["dsseEnvelope"].update(payloadType=""),
    "no payload": lambda said: said["dsseEnvelope"].update(payload=""),
    "a payload that is no base 64": lambda said: said["dsseEnvelope"].update(payload="{}"),
    "no signatures": lambda said: said["dsseEnvelope"].update(signatures=[]),
    "signatures that are null": lambda said: said["dsseEnvelope"].update(signatures=None),
    "two signatures": lambda said: said["dsseEnvelope"]["signatures"].append(said["dsseEnvelope"]["signatures"][0]),
    "an empty signature": lambda said: said["dsseEnvelope"]["signatures"][0].update(sig=""),
    "no signature": lambda said: said["dsseEnvelope"]["signatures"][0].pop("sig"),
    "none as the signature": lambda said: said["dsseEnvelope"]["signatures"][0].update(sig="none"),
    "a signature of zeros": lambda said: said["dsseEnvelope"]["signatures"][0].update(
        sig=b64encode(bytes.fromhex("3006020100020100")).decode()
    ),
    "another payload": lambda said: said["dsseEnvelope"].update(
        payload=b64encode(Statement("churn", {"evil.py": hash_bytes(b"x")}).encode()).decode()
    ),
}


@pytest.mark.parametrize("name", sorted(WRAPPINGS))
def test_a_wrapping_of_another_kind_is_refused(name: str) -> None:
    said = json.loads(sign(Statement("churn", FILES), KEY))
    WRAPPINGS[name](said)
    assert fault(json.dumps(said).encode())


def test_a_key_twice_in_one_object_is_refused_wherever_it_stands() -> None:
    body = sign(Statement("churn", FILES), KEY)
    other = b64encode(statement(lambda said: said["predicate"].update(resources=[])))
    assert fault(body.replace(b'"payload":', b'"payload":"' + other + b'","payload":', 1))
    inner = Statement("churn", FILES).encode()
    twice = inner.replace(b'"predicateType":', b'"predicateType":"x","predicateType":', 1)
    assert "twice" in fault(signed(twice))


def resources(said: Json) -> list[Json]:
    return list(said["predicate"]["resources"])


def path(text: object) -> Change:
    return lambda said: resources(said)[0].update(name=text)


STATEMENTS: dict[str, Change] = {
    "another statement": lambda said: said.update(_type="https://in-toto.io/Statement/v0.1"),
    "another predicate": lambda said: said.update(predicateType="https://slsa.dev/provenance/v1"),
    "the predicate of before": lambda said: said.update(predicateType="https://model_signing/Digests/v0.1"),
    "no predicate": lambda said: said.pop("predicate"),
    "no files": lambda said: said["predicate"].update(resources=[]),
    "files that are null": lambda said: said["predicate"].update(resources=None),
    "a file twice": lambda said: said["predicate"]["resources"].append(resources(said)[0]),
    "a file less": lambda said: said["predicate"]["resources"].pop(),
    "shards": lambda said: said["predicate"]["serialization"].update(method="shards", shard_size=1),
    "another hash of all": lambda said: said["predicate"]["serialization"].update(hash_type="blake3"),
    "another hash of one": lambda said: resources(said)[0].update(algorithm="blake2b"),
    "none as the hash": lambda said: resources(said)[0].update(algorithm="none"),
    "links followed": lambda said: said["predicate"]["serialization"].update(allow_symlinks=True),
    "links as a word": lambda said: said["predicate"]["serialization"].update(allow_symlinks="false"),
    "no serialization": lambda said: said["predicate"].pop("serialization"),
    "a short digest": lambda said: resources(said)[0].update(digest="ab12"),
    "a digest in capitals": lambda said: resources(said)[0].update(digest=resources(said)[0]["digest"].upper()),
    "no subject": lambda said: said.update(subject=[]),
    "two subjects": lambda said: said["subject"].append(said["subject"][0]),
    "another subject": lambda said: said["subject"][0].update(digest={"sha256": 64 * "0"}),
    "a subject of another hash": lambda said: said["subject"][0].update(digest={"sha512": 128 * "0"}),
    "a path above": path("../CARD.md"),
    "a path from the root": path("/CARD.md"),
    "a path with a dot": path("./CARD.md"),
    "a path with two slashes": path("code//a.py"),
    "a path with a backslash": path("code\\a.py"),
    "an empty path": path(""),
    "a path with a zero byte": path("CARD.md\0"),
    "a path that is no text": path("\ud800"),
    "a path that is a number": path(1),
}


@pytest.mark.parametrize("name", sorted(STATEMENTS))
def test_a_statement_of_another_kind_is_refused_however_well_it_is_signed(name: str) -> None:
    assert fault(signed(statement(STATEMENTS[name])))


def test_what_a_statement_says_of_paths_left_out_leaves_nothing_out() -> None:
    ignoring = statement(lambda said: said["predicate"]["serialization"].update(ignore_paths=["evil.py", "code"]))
    assert fault(signed(ignoring)) == ""
    assert "nothing of evil.py" in judge(signed(ignoring), KEY.public, {**FILES, "evil.py": hash_bytes(b"x")}).fault


def test_the_signature_binds_the_type_of_what_is_signed() -> None:
    payload = statement()
    bare = Envelope(payload, KEY.sign(payload), KEY.public.hint).encode()
    other = b"DSSEv1 16 application/json %d %b" % (len(payload), payload)
    assert "damaged" in fault(bare)
    assert "damaged" in fault(Envelope(payload, KEY.sign(other), KEY.public.hint).encode())


def pem_of(key: Any) -> bytes:
    return bytes(key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))


def secret_of(key: Any) -> bytes:
    return bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))


@pytest.mark.parametrize("curve", [ec.SECP256R1(), ec.SECP384R1(), ec.SECP521R1()], ids=lambda curve: curve.name)
def test_each_curve_signs_with_its_own_hash_and_no_other(curve: ec.EllipticCurve) -> None:
    raw = ec.generate_private_key(curve)
    key = PrivateKey.parse(secret_of(raw), None)
    assert PublicKey.parse(pem_of(raw)) == key.public
    assert fault(sign(Statement("churn", FILES), key), key.public) == ""
    payload = statement()
    weak = raw.sign(pre_authentication(payload), ec.ECDSA(hashes.SHA224()))
    assert "damaged" in fault(Envelope(payload, weak, key.public.hint).encode(), key.public)


@pytest.mark.parametrize(
    "key",
    [
        pytest.param(lambda: rsa.generate_private_key(65537, 2048), id="rsa"),
        pytest.param(ed25519.Ed25519PrivateKey.generate, id="ed25519"),
        pytest.param(lambda: ec.generate_private_key(ec.SECP256K1()), id="secp256k1"),
    ],
)
def test_keys_of_other_algorithms_are_refused(key: Callable[[], Any]) -> None:
    made = key()
    with pytest.raises(UnsupportedFormat, match="signs no versions"):
        PublicKey.parse(pem_of(made))
    with pytest.raises(UnsupportedFormat, match="signs no versions"):
        PrivateKey.parse(secret_of(made), None)


def test_what_is_no_public_key_is_refused() -> None:
    public = KEY.public.pem.encode()
    cut = public.replace(b"\n", b"", 1)[:-40]
    for data in (b"", b"none", KEY.encode(None), public + public, cut, b"\xff" + public, b"-----BEGIN PUBLIC KEY-----"):
        with pytest.raises(UnsupportedFormat):
            PublicKey.parse(data)
    assert PublicKey.parse(b"\n" + public + b"\n\n") == KEY.public
    for parse in (PublicKey.parse, lambda data: PrivateKey.parse(data, None)):
        with pytest.raises(TooLarge):
            parse(public + b" " * KEY_BYTES_MAX)


def test_a_private_key_is_opened_by_its_passphrase_alone_and_never_shown() -> None:
    locked = KEY.encode("hunter2")
    assert b"ENCRYPTED" in locked
    assert PrivateKey.parse(locked, "hunter2").public == KEY.public
    for passphrase in ("other", None, ""):
        with pytest.raises(PermissionRefused):
            PrivateKey.parse(locked, passphrase)
    assert PrivateKey.parse(KEY.encode(None), "not needed").public == KEY.public
    assert repr(KEY) == f"PrivateKey({KEY.public.fingerprint})"
    with pytest.raises(UnsupportedFormat):
        PrivateKey.parse(KEY.public.pem.encode(), None)


def test_the_fingerprint_is_that_of_the_key_as_others_compute_it() -> None:
    der = b64decode("".join(KEY.public.pem.splitlines()[1:-1]))
    assert KEY.public.fingerprint == hash_bytes(der)
    assert KEY.public.hint == hash_bytes(KEY.public.pem.encode()).hex


@pytest.mark.thorough
def test_limits_hold() -> None:
    with pytest.raises(TooLarge):
        Envelope.parse(b" " * (SIGNATURE_BYTES_MAX + 1))
    assert "limit" in fault(b" " * (SIGNATURE_BYTES_MAX + 1))
    many = {f"{n}": hash_bytes(b"x") for n in range(BUNDLE_FILES_MAX + 2)}
    assert "at most" in fault(signed(Statement("churn", many).encode()))
