"""The names that people type, parsed once at the edge into types that cannot be wrong.

    ModelName("churn")
    StageName("production")
    Reference.parse("churn@4")            a number
    Reference.parse("churn@production")   whatever holds the stage
    Reference.parse("churn@sha256:ab12…") a digest, whole or its first 8 or more digits
    Reference.parse("models:/churn/4")    as MLflow writes it

Law: `Reference.parse(str(reference)) == reference`.
"""

import hashlib
import re
import unicodedata
from dataclasses import dataclass
from typing import NewType

from holdfast.errors import UsageError

__all__ = [
    "ByDigest",
    "ByNumber",
    "BySemver",
    "ByStage",
    "ModelName",
    "Reference",
    "RelativePath",
    "StageName",
    "VersionNumber",
    "looks_like",
]

_NAME_CHARACTERS_MAX = 128
"""Long enough for team, model and variant joined by dots; short enough for every database index and file system."""

_SLUG_CHARACTERS_MAX = 100
"""Leaves room for the digits behind it in a name of ours."""

_SLUG_DIGITS = 6
"""Of the name's SHA-256: a million names before two that are written alike are likely to meet."""

_SEGMENT_BYTES_MAX = 255
"""The longest name of one file on the usual file systems of every platform."""

_PATH_BYTES_MAX = 1024
"""Twice what real projects use; below every platform's limit once a target folder stands in front of it."""

_NAME = re.compile(r"[a-z0-9][a-z0-9._-]*\Z")
_SEMVER = re.compile(r"(0|[1-9][0-9]{0,8})\.(0|[1-9][0-9]{0,8})\.(0|[1-9][0-9]{0,8})\Z")
_DIGEST = re.compile(r"sha256:[0-9a-f]{8,64}\Z")
_STRANGE = re.compile(r"[^a-z0-9._-]+")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_NUMBER = re.compile(r"[1-9][0-9]{0,8}\Z")
_WINDOWS = re.compile(r'[<>:"|?*]')
_RESERVED = {
    "con", "prn", "aux", "nul", "conin$", "conout$",
    *(f"{port}{digit}" for port in ("com", "lpt") for digit in "0123456789¹²³"),
}  # fmt: skip
_NEVER = {"latest", "newest"}

VersionNumber = NewType("VersionNumber", int)
"""1, 2, 3 … inside one model; allocated by the database, never by code."""


def looks_like(name: str, otherwise: str) -> str:
    """A name of ours that looks like another system's, which ours cannot be: `Churn EU` gives `churn-eu-7d1b8e`.

    Args:
        name: the other one.
        otherwise: what it begins with where nothing of the other one is left.
    """
    digits = hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()[:_SLUG_DIGITS]
    word = _STRANGE.sub("-", name.lower()).strip("._-")[:_SLUG_CHARACTERS_MAX].rstrip("._-")
    return f"{word or otherwise}-{digits}"


def _checked(kind: str, text: str) -> str:
    if len(text) > _NAME_CHARACTERS_MAX or not _NAME.match(text) or text in _NEVER or text.isdigit():
        reason = f"{text!r} is never a name: a stage must say what it promises" if text in _NEVER else ""
        hint = f"Use 1 to {_NAME_CHARACTERS_MAX} of a-z 0-9 . _ - and begin with a letter or digit; not only digits."
        if kind == "model" and not reason and text.strip():
            hint += f" What an MLflow client named so is called {looks_like(text, kind)} here."
        raise UsageError(reason or f"{text[:_NAME_CHARACTERS_MAX]!r} cannot be the name of a {kind}", hint=hint)
    return text


def _refuse_unless(pattern: re.Pattern[str], text: str, kind: str) -> None:
    if not pattern.match(text):
        raise UsageError(f"{text[:100]!r} is not {kind}", hint="Write churn@4, churn@sha256:ab12cd34 or churn@2.1.0.")


@dataclass(frozen=True, order=True, slots=True)
class ModelName:
    """The name of a model: a line of versions."""

    text: str

    def __post_init__(self) -> None:
        _checked("model", self.text)

    def __str__(self) -> str:
        return self.text


@dataclass(frozen=True, order=True, slots=True)
class StageName:
    """The name of a stage: a movable pointer to a version."""

    text: str

    def __post_init__(self) -> None:
        _checked("stage", self.text)
        if _SEMVER.match(self.text):
            raise UsageError(
                f"{self.text!r} cannot be the name of a stage: it reads as a semantic version",
                hint="Use a word that says what the stage promises.",
            )

    def __str__(self) -> str:
        return self.text


@dataclass(frozen=True, slots=True)
class ByNumber:
    """The version with this number."""

    number: VersionNumber

    def __post_init__(self) -> None:
        _refuse_unless(_NUMBER, str(self.number), "a version number")

    def __str__(self) -> str:
        return str(self.number)


@dataclass(frozen=True, slots=True)
class ByStage:
    """The version that holds this stage."""

    stage: StageName

    def __str__(self) -> str:
        return str(self.stage)


@dataclass(frozen=True, slots=True)
class ByDigest:
    """The version whose digest begins so; `prefix` is `sha256:` and 8 to 64 digits."""

    prefix: str

    def __post_init__(self) -> None:
        _refuse_unless(_DIGEST, str(self.prefix), "a digest")

    def __str__(self) -> str:
        return self.prefix


@dataclass(frozen=True, slots=True)
class BySemver:
    """The version that outsiders know by this semantic version."""

    semver: str

    def __post_init__(self) -> None:
        _refuse_unless(_SEMVER, str(self.semver), "a semantic version")

    def __str__(self) -> str:
        return self.semver


@dataclass(frozen=True, slots=True)
class Reference:
    """A version as a person writes it: a model and one way to choose among its versions."""

    model: ModelName
    choice: ByNumber | ByStage | ByDigest | BySemver

    def __str__(self) -> str:
        return f"{self.model}@{self.choice}"

    @classmethod
    def parse(cls, text: str) -> "Reference":
        """The reference that `text` writes.

        Raises:
            UsageError: none of the forms in the module's docstring.
        """
        if text.startswith("models:/"):
            rest = text.removeprefix("models:/")
            model, _, choice = rest.partition("@") if "@" in rest else rest.partition("/")
        else:
            model, _, choice = text.partition("@")
        if not choice:
            raise UsageError(
                f"{text!r} names no version",
                hint="Say which one: {0}@4, {0}@production or {0}@sha256:…".format(model or "churn"),
            )
        return cls(ModelName(model), _choice(choice))


def _choice(text: str) -> ByNumber | ByStage | ByDigest | BySemver:
    if _NUMBER.match(text):
        return ByNumber(VersionNumber(int(text)))
    if _DIGEST.match(text):
        return ByDigest(text)
    if _SEMVER.match(text):
        return BySemver(text)
    return ByStage(StageName(text))


@dataclass(frozen=True, order=True, slots=True)
class RelativePath:
    """A path inside a bundle or snapshot: forward slashes, relative, and safe to create below any folder.

    `../x`, `/x`, a backslash, `.`, control characters and empty segments are refused wherever a path is read, so that
    no manifest can make a checkout write outside its target.
    """

    text: str

    def __post_init__(self) -> None:
        reason = _unsafe(self.text)
        if reason:
            raise UsageError(
                f"the path {self.text[:80]!r} {reason}",
                hint="Rename the file, or leave it out.",
                path=self.text,
            )

    def __str__(self) -> str:
        return self.text

    def portable(self) -> "RelativePath":
        """The same path, once it is known to mean the same file on every platform.

        Raises:
            UsageError: Windows device names and characters, trailing dots or blanks, a name past 255 bytes, or not in
                Unicode's NFC form.
        """
        for segment in self.text.split("/"):
            if (
                segment.partition(".")[0].rstrip(" ").lower() in _RESERVED
                or segment != segment.rstrip(" .")
                or _WINDOWS.search(segment)
                or len(segment.encode()) > _SEGMENT_BYTES_MAX
            ):
                raise UsageError(
                    f"the path {self.text[:80]!r} does not exist on every platform",
                    hint='Avoid device names such as CON, the characters < > : " | ? *, names that end in a dot or a '
                    f"blank, and names longer than {_SEGMENT_BYTES_MAX} bytes.",
                    path=self.text,
                )
        if unicodedata.normalize("NFC", self.text) != self.text:
            raise UsageError(
                f"the path {self.text!r} is not in Unicode's NFC form",
                hint="Rename the file.",
                path=self.text,
            )
        return self


def _unsafe(text: str) -> str | None:
    try:
        size = len(text.encode())
    except UnicodeEncodeError:
        return "is not valid Unicode"
    if not text or size > _PATH_BYTES_MAX:
        return f"is empty or longer than {_PATH_BYTES_MAX} bytes"
    if "\\" in text or _CONTROL.search(text):
        return "has a backslash or a control character"
    if any(segment in {"", ".", ".."} for segment in text.split("/")):
        return "is absolute, or leads out of its folder"
    return None
