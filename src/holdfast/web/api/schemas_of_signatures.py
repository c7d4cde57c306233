"""What travels of signatures, as the OpenAPI document describes it."""

from typing import Annotated

from pydantic import Field

from holdfast.signing import KEY_BYTES_MAX, SIGNATURE_BYTES_MAX
from holdfast.web.api.schemas import Asked, DigestText, Moment, Number, Said

_BASE64_MAX = -(-SIGNATURE_BYTES_MAX // 3) * 4
"""As many characters as the largest signature takes."""

Body = Annotated[str, Field(max_length=_BASE64_MAX, description="A file of OpenSSF Model Signing, in base 64")]
Pem = Annotated[str, Field(max_length=KEY_BYTES_MAX, description="The key that checks it, in PEM")]


class NewSignature(Asked):
    """A signature of the version in the path."""

    body: Body
    public_key: Pem
    reason: str = ""


class Signature(Said):
    """A signature, and by which key it is."""

    signature: DigestText
    model: str
    version: Number
    key: DigestText
    by: str
    at: Moment
    public_key: Pem
    body: Body


class Signatures(Said):
    """The signatures of a version, oldest first."""

    signatures: list[Signature]
