"""Signatures of versions: who vouches for exactly these files, in a form that other tools read and write.

    statement = Statement.of(manifest)                      every file of the bundle, and the manifest, by digest
    body = sign(statement, private)                         a file of the OpenSSF Model Signing format (OMS) 1.0
    judge(body, private.public, statement.files).fault == ""

A signature is a Sigstore bundle v0.3 with a DSSE envelope (v1) around an in-toto statement (v1). docs/FORMAT.md,
"Signatures", says which of these formats are read. Nothing here does any I/O: bytes go in, and what they prove comes
out.
"""

from holdfast.signing.envelope import SIGNATURE_BYTES_MAX, Envelope
from holdfast.signing.judging import Judgement, judge, read_signature, sign
from holdfast.signing.keys import KEY_BYTES_MAX, PrivateKey, PublicKey
from holdfast.signing.statement import Statement

__all__ = [
    "KEY_BYTES_MAX",
    "SIGNATURE_BYTES_MAX",
    "Envelope",
    "Judgement",
    "PrivateKey",
    "PublicKey",
    "Statement",
    "judge",
    "read_signature",
    "sign",
]
