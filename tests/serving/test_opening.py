"""What a replica asks for before it starts anything of a bundle."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from holdfast.errors import IntegrityError
from holdfast.flow.bundle import Ingredients
from holdfast.flow.register import register
from holdfast.names import ModelName
from holdfast.registry.values import Version
from holdfast.runtime.signed import sign_version
from holdfast.serving.opening import opener
from holdfast.wire import Project, open_project
from tests.blank import blank_project
from tests.signatures import key_of

ANA, BOB = key_of("ana"), key_of("bob")


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Project]:
    with open_project(blank_project(tmp_path)) as project:
        yield project


@pytest.fixture
def version(project: Project) -> Version:
    ingredients = Ingredients(name=ModelName("churn"), project=project.settings.project)
    return register(ingredients, project.workshop, project.registry, actor="ana").version


@pytest.mark.thorough
def test_a_bundle_is_opened_when_a_key_of_this_machine_has_signed_it(project: Project, version: Version) -> None:
    anything = opener(project.store, project.settings.cache, project.registry)
    mine = opener(project.store, project.settings.cache, project.registry, signed_by={ANA.public.fingerprint})
    assert anything(version.digest).files.digest == version.digest
    with pytest.raises(IntegrityError, match="signed by 0 of 1"):
        mine(version.digest)
    sign_version(version, BOB, project.registry, project.store, actor="bob")
    with pytest.raises(IntegrityError, match="which is not trusted here"):
        mine(version.digest)
    sign_version(version, ANA, project.registry, project.store, actor="ana")
    assert mine(version.digest).files.digest == version.digest
    with pytest.raises(IntegrityError, match="nobody keeps signatures"):
        opener(project.store, project.settings.cache, None, signed_by={ANA.public.fingerprint})(version.digest)
