"""What a gate looks at before it opens anything: every file of a real bundle, and never through an unpickler."""

from dataclasses import replace
from typing import Any

import pytest

from holdfast.flow.gate import GateRequest, Outcome, Policy, Workbench, gate
from holdfast.flow.gate.case import Case, examine, manifest_of
from holdfast.flow.gate.looking import listings_of
from holdfast.flow.gate.rules import RULES
from holdfast.flow.gate.stage_policy import StagePolicy
from holdfast.formats import Ground, Standing
from holdfast.manifest import FileEntry, Manifest
from holdfast.names import Reference, RelativePath, StageName
from holdfast.parts import PreprocessingCode, Weights
from holdfast.registry.values import Version
from holdfast.runtime.signed import sign_version
from holdfast.wire import Project
from tests.signatures import key_of

RULES_ASKED = StagePolicy(rules=("completeness", "integrity", "formats", "opens", "smoke"))
ATTACK = b"cos\nsystem\n(S'true'\ntR."


def version_of(project: Project, number: int) -> Version:
    return project.registry.resolve(Reference.parse(f"churn@{number}"))


def with_file(project: Project, path: str, data: bytes, **parts: Any) -> Manifest:
    """The manifest of churn@1 with one file replaced or added."""
    manifest = manifest_of(project.store, version_of(project, 1))
    with project.store.writer() as writer:
        stored = writer.add_bytes(data)
        writer.commit()
    entry = FileEntry(RelativePath(path), stored.digest, len(data))
    files = tuple(sorted([*(one for one in manifest.files if str(one.path) != path), entry]))
    return replace(manifest, files=files, parts=replace(manifest.parts, **parts))


def test_a_version_as_it_is_registered_passes_and_every_file_of_it_is_listed(churn: Project) -> None:
    manifest = manifest_of(churn.store, version_of(churn, 1))
    listings = listings_of(churn.store, manifest, RULES_ASKED)
    assert set(listings) == {str(entry.path) for entry in manifest.files}
    assert listings["weights/model.joblib"].standing is Standing.ALLOWED
    assert [path for path, one in listings.items() if one.own] == ["code/features.py"]
    assert all(
        one.standing is Standing.DATA
        for path, one in listings.items()
        if path.partition("/")[0] not in {"code", "weights"}
    )


def test_what_would_run_hidden_code_is_not_opened(churn: Project, bench: Workbench) -> None:
    manifest = with_file(churn, "weights/model.joblib", ATTACK)
    with churn.store.writer() as writer:
        stored = writer.add_bytes(manifest.encode())
        writer.commit()
    candidate = replace(version_of(churn, 1), digest=stored.digest)

    def opener(_: object) -> object:
        raise AssertionError("it was opened")

    careful = replace(bench, opener=opener)  # type: ignore[arg-type]
    found = examine(Case(candidate, StageName("production"), RULES_ASKED, "ana"), careful)
    assert found.unopened
    assert RULES["formats"](found).sentence == "weights/model.joblib would import os.system"
    assert RULES["opens"](found).outcome is Outcome.INCONCLUSIVE


def test_what_policy_wants_signed_is_not_opened_before_it_is(churn: Project, bench: Workbench) -> None:
    key = key_of("ana")
    asked = {"rules": ["integrity", "opens"], "signed_by": [str(key.public.fingerprint)]}
    policy = Policy(document={"gate": {"production": asked}})
    request = GateRequest(Reference.parse("churn@1"), StageName("production"), "ana", policy)

    def opener(_: object) -> object:
        raise AssertionError("it was opened")

    verdict = gate(request, replace(bench, opener=opener, limited=None), churn.registry)  # type: ignore[arg-type]
    outcomes = {finding.rule: finding.outcome for finding in verdict.findings}
    assert outcomes == {"integrity": Outcome.PASS, "signature": Outcome.FAIL, "opens": Outcome.INCONCLUSIVE}
    assert "because of its signatures" in verdict.findings[-1].sentence
    sign_version(version_of(churn, 1), key, churn.registry, churn.store, actor="ana")
    assert gate(request, bench, churn.registry).outcome is Outcome.PASS


SOURCE = b"import os\nfrom os import system\n\n\nclass Scale:\n    pass\n"


@pytest.mark.parametrize(
    ("path", "name", "ground"),
    [
        ("code/features.py", "features.Scale", Ground.OWN),
        ("code/features.py", "features.os", Ground.REFUSED),
        ("code/features.py", "features.system", Ground.REFUSED),
        ("code/subprocess.py", "subprocess.Scale", Ground.REFUSED),
        ("code/calendar.py", "calendar.Scale", Ground.REFUSED),
    ],
)
def test_a_class_is_the_bundles_own_only_where_its_code_defines_it(
    churn: Project, path: str, name: str, ground: Ground
) -> None:
    module, _, last = name.rpartition(".")
    weights = with_file(churn, "weights/model.joblib", f"c{module}\n{last}\n.".encode())
    code = with_file(churn, path, SOURCE)
    (entry,) = (entry for entry in code.files if str(entry.path) == path)
    files = tuple(sorted([*(one for one in weights.files if str(one.path) != path), entry]))
    listings = listings_of(churn.store, replace(weights, files=files), RULES_ASKED)
    assert [one.ground for one in listings["weights/model.joblib"].imports] == [ground]


@pytest.mark.parametrize("part", ["weights", "preprocessing_code"])
def test_a_file_that_a_loader_opens_is_no_source_whatever_it_is_called(churn: Project, part: str) -> None:
    path = RelativePath("code/model.py")
    given = {
        "weights": Weights("joblib", "sklearn", "m.Model", True, (path,)),
        "preprocessing_code": PreprocessingCode("transformer", state=path, files=(path,), executes_code=True),
    }
    manifest = with_file(churn, str(path), b"cos\nsystem\n.", **{part: given[part]})
    listing = listings_of(churn.store, manifest, RULES_ASKED)[str(path)]
    assert (listing.own, listing.standing) == (False, Standing.CODE)


def test_a_compiled_module_beside_the_code_is_refused(churn: Project) -> None:
    manifest = with_file(churn, "code/features.pyc", b"\xa7\r\r\n" + bytes(12) + b"\xe3")
    assert listings_of(churn.store, manifest, RULES_ASKED)["code/features.pyc"].standing is Standing.CODE
