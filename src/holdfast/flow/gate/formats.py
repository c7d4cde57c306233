"""The rule `formats`: whether opening a bundle can run code that nobody has reviewed.

It judges what `looking` found. A bundle that does not pass is not opened by the steps that follow.
"""

from collections.abc import Mapping

from holdfast.canonical import Json
from holdfast.flow.gate.finding import Finding, Outcome
from holdfast.flow.gate.stage_policy import StagePolicy
from holdfast.formats import Ground, Listing, Standing
from holdfast.manifest import Manifest
from holdfast.parts import PreprocessingCode, Weights

__all__ = ["DENY", "judge_formats"]

DENY = "deny"
"""What a policy says in `executes_code` when no pickle may be opened at all, whatever it imports."""

_SHOWN_MAX = 3
"""Files, and names of each, that one sentence tells; the verdict's values hold them all."""

Listings = Mapping[str, Listing]


def judge_formats(manifest: Manifest, listings: Listings, policy: StagePolicy) -> Finding:
    """Whether opening the bundle can run code that nobody has reviewed; which file would import what."""
    declared = _declared(manifest)
    pickled = sorted(path for path, listing in listings.items() if listing.pickled)
    values: Mapping[str, Json] = {
        "executes_code": declared,
        "policy": policy.executes_code,
        "formats_allow": list(policy.formats_allow),
        "files": {path: listing.to_json() for path, listing in listings.items()},
    }
    if policy.executes_code == DENY and (declared or pickled):
        return Finding(
            "formats",
            Outcome.FAIL,
            f"opening {', '.join(declared or pickled[:_SHOWN_MAX])} can run hidden code, and policy denies that",
            "Use a format that holds data only, or set executes_code = 'allow' for this stage.",
            values,
        )
    seen = set(policy.formats_allow)
    suspects = {
        str(entry.path): listings[str(entry.path)]
        for entry in manifest.files
        if str(entry.path) in listings and str(entry.digest) not in seen and not listings[str(entry.path)].own
    }
    code = {path: one for path, one in suspects.items() if one.standing is Standing.CODE}
    if code:
        told = _first([_would(path, one) for path, one in code.items()])
        return Finding("formats", Outcome.FAIL, told, _how_to_allow(code, manifest), values)
    unread = [f"{path}: {one.reasons[0]}" for path, one in suspects.items() if one.standing is Standing.UNREADABLE]
    unread += [f"{entry.path}: it was not looked at" for entry in manifest.files if str(entry.path) not in listings]
    if unread:
        sentence = f"what opening them could do cannot be told: {_first(unread)}"
        return Finding("formats", Outcome.INCONCLUSIVE, sentence, _HOW_TO_TELL, values)
    return Finding("formats", Outcome.PASS, _passed(listings), "", values)


_HOW_TO_TELL = (
    "Save the model again, or in another format; or, when a person has looked at the file, add its digest to "
    "formats_allow for this stage in holdfast.toml."
)


def _how_to_allow(code: Listings, manifest: Manifest) -> str:
    """Names that are imported are allowed by their names; a file that is code itself, such as a program, as it is."""
    named = any(listing.refused for listing in code.values())
    digests = [str(entry.digest) for entry in manifest.files if (one := code.get(str(entry.path))) and not one.refused]
    ways = ["when a person knows what these names do, add them to formats_allow"] if named else []
    if digests:
        ways.append(f"when a person has read it, add its digest to formats_allow: {_first(digests, ', ')}")
    return f"Save the model in a format that holds data only; or, for this stage in holdfast.toml, {'; '.join(ways)}."


def _declared(manifest: Manifest) -> list[str]:
    """The parts of which the manifest itself says that opening them unpickles."""
    parts = manifest.parts
    found = []
    if isinstance(parts.weights, Weights) and parts.weights.executes_code:
        found.append(f"weights ({parts.weights.format})")
    if isinstance(parts.preprocessing_code, PreprocessingCode) and parts.preprocessing_code.executes_code:
        found.append("preprocessing_code (joblib)")
    return found


def _would(path: str, listing: Listing) -> str:
    if listing.refused:
        return f"{path} would import {_first(listing.refused, ', ')}"
    return f"{path}: {listing.reasons[0]}"


def _first(told: list[str] | tuple[str, ...], between: str = "; ") -> str:
    more = f"{between}and {len(told) - _SHOWN_MAX} more" if len(told) > _SHOWN_MAX else ""
    return between.join(told[:_SHOWN_MAX]) + more


def _passed(listings: Listings) -> str:
    pickled = [path for path, listing in listings.items() if listing.imports]
    own = [path for path, listing in listings.items() if listing.own]
    grounds = {found.ground for listing in listings.values() for found in listing.imports}
    said = [f"{len(listings) - len(pickled) - len(own)} files hold data only"]
    if pickled:
        whose = ["what models of known libraries need"]
        whose += ["the bundle's own classes"] if Ground.OWN in grounds else []
        whose += ["what policy allows"] if Ground.POLICY in grounds else []
        said.append(f"{_first(pickled, ', ')} would import only {' and '.join(whose)}")
    if own:
        said.append(f"{_first(own, ', ')} {'are' if len(own) > 1 else 'is'} the bundle's own code")
    return "; ".join(said)
