"""What every registry keeps of signatures: in a file and on a server of databases, and behind two servers of ours."""

import json
from base64 import b64decode, b64encode
from dataclasses import replace

import pytest

from holdfast.digest import Digest, hash_bytes
from holdfast.errors import HoldfastError, NotFound, TooLarge, UnsupportedFormat, UsageError
from holdfast.manifest import MANIFEST_NAME
from holdfast.names import ModelName, VersionNumber
from holdfast.registry import NewSignature, NewVersion, Registry
from holdfast.signing import SIGNATURE_BYTES_MAX, Statement, sign
from tests.signatures import key_of, signature_of

CHURN = ModelName("churn")
ONE, TWO = VersionNumber(1), VersionNumber(2)


def digest(text: str) -> Digest:
    return hash_bytes(text.encode())


@pytest.fixture
def names(registry: Registry) -> Registry:
    registry.ensure_model(CHURN, "ana")
    for text in ("1", "2"):
        registry.register(NewVersion(CHURN, digest(text), complete=True), "ana")
    return registry


def test_a_signature_is_kept_as_it_was_made_with_its_event(names: Registry) -> None:
    assert names.signatures(CHURN, ONE) == ()
    new = signature_of(CHURN, ONE, digest("1"))
    kept = names.put_signature(new, "ana", "tried by hand")
    assert (kept.digest, kept.body, kept.public_key, kept.by) == (new.digest, new.body, new.public_key, "ana")
    assert (kept.model, kept.number, kept.key) == (CHURN, ONE, key_of("ana").public.fingerprint)
    assert names.signatures(CHURN, ONE) == (kept,)
    assert names.signatures(CHURN, TWO) == ()
    [event] = names.log(CHURN, limit=1)
    assert (event.action, event.to_number, event.to_digest) == ("model:version:sign", 1, str(digest("1")))
    assert (event.actor, event.reason, event.time) == ("ana", "tried by hand", kept.at)
    assert event.details == {"signature": str(new.digest), "key": str(kept.key)}
    assert names.audit_verify().ok


def test_the_same_signature_again_writes_nothing_whoever_brings_it(names: Registry) -> None:
    new = signature_of(CHURN, ONE, digest("1"))
    kept = names.put_signature(new, "ana")
    size = names.audit_verify().size
    assert names.put_signature(new, "bob", "again", key="k") == kept
    assert names.audit_verify().size == size
    other = names.put_signature(signature_of(CHURN, ONE, digest("1"), "bob"), "bob", key="k")
    assert names.signatures(CHURN, ONE) == (kept, other)


def test_a_signature_of_something_else_is_not_kept(names: Registry) -> None:
    good, bare = signature_of(CHURN, ONE, digest("1")), sign(Statement("churn", {"a": digest("1")}), key_of("ana"))
    for wrong, error in (
        (signature_of(CHURN, ONE, digest("2")), UsageError),
        (replace(good, number=TWO), UsageError),
        (replace(good, number=VersionNumber(9)), NotFound),
        (replace(good, model=ModelName("other")), NotFound),
        (replace(good, body=bare), UsageError),
        (replace(good, public_key=key_of("bob").public.pem), UsageError),
        (replace(good, public_key="none"), UnsupportedFormat),
        (replace(good, body=b"none"), UnsupportedFormat),
        (replace(good, body=b""), UnsupportedFormat),
        (damaged(good), UsageError),
    ):
        with pytest.raises(error):
            names.put_signature(wrong, "ana")
    with pytest.raises(NotFound):
        names.signatures(CHURN, VersionNumber(9))
    assert names.signatures(CHURN, ONE) == names.signatures(CHURN, TWO) == ()
    assert names.audit_verify().ok


def damaged(new: NewSignature) -> NewSignature:
    """The same with one byte of the signature turned."""
    said = json.loads(new.body)
    [made] = said["dsseEnvelope"]["signatures"]
    raw = bytearray(b64decode(made["sig"]))
    raw[-1] ^= 1
    made["sig"] = b64encode(raw).decode()
    return replace(new, body=json.dumps(said).encode())


@pytest.mark.thorough
def test_what_is_past_the_limit_is_not_kept(names: Registry) -> None:
    new = signature_of(CHURN, ONE, digest("1"))
    with pytest.raises(HoldfastError) as refused:  # a server refuses the body before it is a signature
        names.put_signature(replace(new, body=new.body + b" " * SIGNATURE_BYTES_MAX), "ana")
    assert isinstance(refused.value, TooLarge | UsageError)
    files = {MANIFEST_NAME: digest("1"), **{f"{n:04}{'x' * 900}": digest("x") for n in range(5_000)}}
    large = [sign(Statement("churn", files), key_of("ana")) for _ in range(3)]
    for body in large[:2]:
        names.put_signature(replace(new, body=body), "ana")
    with pytest.raises(TooLarge, match="2 signatures"):
        names.put_signature(replace(new, body=large[2]), "ana")
    assert len(names.signatures(CHURN, ONE)) == 2
