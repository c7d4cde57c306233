"""Register a logged model: its number only when every byte is in the store, no byte of it moved, and once for all."""

import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from holdfast.bridges.mlflow import Prepared, Said, bundle_of
from holdfast.digest import Digest, hash_bytes
from holdfast.errors import IntegrityError, NotFound
from holdfast.flow.gate import GateRequest, gate
from holdfast.flow.gate.finding import Outcome
from holdfast.flow.gate.looking import listings_of
from holdfast.flow.register_logged import register_logged
from holdfast.flow.snapshot import snapshot
from holdfast.formats import Standing
from holdfast.names import ByNumber, ModelName, Reference, RelativePath, StageName
from holdfast.registry.values import Version
from holdfast.runtime.materialise import materialise, read_manifest
from holdfast.tracking.values import NewRun, RunInput
from holdfast.wire import Project, open_project
from tests.blank import blank_project
from tests.bridges.mlflow.logged import files_of, kept, recorded

CHURN, COMPLETE = ModelName("churn"), "completeness"


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Project]:
    for name in [name for name in os.environ if name.startswith("HOLDFAST_")]:
        monkeypatch.delenv(name)
    with open_project(blank_project(tmp_path / "project")) as opened:
        yield opened


def logged(project: Project, *, run: str | None = None, tree: Digest | None = None) -> Prepared:
    inputs = () if tree is None else (RunInput("train", "train.csv", tree, "train.csv", 1, 4),)
    said = Said(run_id=run, params={"C": "1.0"}, inputs=inputs, tags={"mlflow.source.git.commit": "9f2c" * 10})
    return bundle_of(said, kept({**files_of("classifier"), **recorded()}, project.store), CHURN)


def registered(project: Project, prepared: Prepared) -> Version:
    return register_logged(prepared, project.store, project.registry, actor="ana", reason="first try")


def test_a_logged_model_becomes_a_version_that_can_be_taken_out_whole(project: Project, tmp_path: Path) -> None:
    (project.settings.project / "train.csv").write_text("a\n1\n", encoding="utf-8")
    tree = snapshot(project.store, project.settings.project / "train.csv", root=project.settings.project).digest
    run = project.tracking.start_run(NewRun("r"), "ana").id
    prepared = logged(project, run=run, tree=tree)
    version = registered(project, prepared)
    assert (version.number, version.complete, version.run_id) == (1, True, run)
    assert read_manifest(project.store, version.digest) == prepared.manifest
    files = materialise(project.store, version.digest, tmp_path / "bundles")
    assert files.verified().read(RelativePath("weights/MLmodel")) == files_of("classifier")["MLmodel"]
    related = {(edge.relation, edge.parent_kind) for edge in project.registry.lineage("version", str(version.digest))}
    assert {("trained_on", "snapshot"), ("produced_by", "run"), ("built_from", "commit")} <= related


def test_the_same_again_is_the_version_that_is_there(project: Project) -> None:
    first, again = registered(project, logged(project)), registered(project, logged(project))
    assert again == first
    assert len(project.registry.versions(CHURN)) == 1


def test_a_file_that_is_not_in_the_store_gets_no_number(project: Project) -> None:
    prepared = bundle_of(Said(), kept(files_of("classifier")), CHURN)
    with pytest.raises(NotFound, match="weights/"):
        registered(project, prepared)
    assert project.registry.versions() == ()


def test_data_that_is_not_in_the_store_gets_no_number(project: Project) -> None:
    with pytest.raises(NotFound, match="trained or tested on"):
        registered(project, logged(project, tree=hash_bytes(b"elsewhere")))
    assert project.registry.versions() == ()


def test_a_small_file_that_the_manifest_does_not_name_gets_no_number(project: Project) -> None:
    prepared = logged(project)
    other = replace(prepared, small={**prepared.small, RelativePath("CARD.md"): b"another card"})
    with pytest.raises(IntegrityError):
        registered(project, other)
    assert project.registry.versions() == ()


def test_a_gate_tells_whoever_logged_it_what_to_write_into_the_script(project: Project) -> None:
    version = registered(project, logged(project))
    request = GateRequest(Reference(CHURN, ByNumber(version.number)), StageName("staging"), "ana", project.policy)
    (finding,) = (one for one in gate(request, project.workbench, project.registry).findings if one.rule == COMPLETE)
    assert finding.outcome is Outcome.FAIL
    assert "mlflow.log_input" in finding.hint


def test_a_gate_walks_the_pickles_inside_and_knows_the_code_that_was_logged(project: Project) -> None:
    # One file is Python and a pickle as well, and nothing keeps an MLmodel file from naming it as the model.
    own, both = b"cmylib\ndouble\n.", b"cos\nsystem\n0.5\n"
    files = {
        **files_of("own_code"),
        "python_model.pkl": own,
        "code/both.py": both,
        "more/other.pkl": b"cos\nsystem\n(S'id'\ntR.",
    }
    manifest = read_manifest(
        project.store, registered(project, bundle_of(Said(), kept(files, project.store), CHURN)).digest
    )
    found = listings_of(project.store, manifest, project.policy.for_stage(CHURN, StageName("staging")))
    assert found["code/mylib/__init__.py"].own
    assert not found["code/both.py"].own
    assert found["code/both.py"].standing is Standing.CODE
    assert found["weights/python_model.pkl"].standing is Standing.ALLOWED
    assert found["weights/more/other.pkl"].standing is Standing.CODE
    assert found["weights/MLmodel"].standing is Standing.DATA
