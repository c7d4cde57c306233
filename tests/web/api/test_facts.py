"""What a server writes down of a version: what its bytes say, whatever a client says."""

import pytest

from holdfast.digest import Digest
from holdfast.errors import NotFound
from holdfast.manifest import Manifest
from holdfast.names import ModelName, VersionNumber
from holdfast.registry import Facts, NewVersion
from holdfast.registry.http import HttpRegistry
from holdfast.registry.sql import SqlRegistry
from holdfast.store.local import LocalStore
from tests.laws.samples import CHURN, CONTENTS, complete

LIE = Facts((("metrics.recall", 1.0),), (("packages.numpy", "9"),))


def kept_whole(kept: LocalStore, manifest: Manifest) -> Digest:
    with kept.writer() as writer:
        for data in CONTENTS.values():
            writer.add_bytes(data)
        writer.add_bytes(manifest.encode())
        writer.commit()
    return manifest.digest


@pytest.mark.slow
def test_a_server_reads_the_facts_from_its_own_bytes(registry: HttpRegistry, kept: LocalStore) -> None:
    digest = kept_whole(kept, complete())
    registry.ensure_model(CHURN, "ana")
    registry.register(NewVersion(CHURN, digest, complete=True, facts=LIE), "ana")
    assert not registry.search("metrics.recall = 1 or package.numpy = 9").versions
    (found,) = registry.search("metrics.recall = 0.75 and package.scikit-learn = 1.7.2").versions
    assert (found.version.digest, registry.search().not_indexed) == (digest, 0)


@pytest.mark.slow
def test_a_version_of_before_is_indexed_from_the_bytes_too(
    registry: HttpRegistry, embedded: SqlRegistry, kept: LocalStore
) -> None:
    digest = kept_whole(kept, complete())
    embedded.ensure_model(CHURN, "ana")
    embedded.register(NewVersion(CHURN, digest, complete=True), "ana")
    assert [one.digest for one in registry.not_indexed()] == [digest]
    registry.index(CHURN, VersionNumber(1), LIE)
    assert len(registry.search("metrics.recall = 0.75").versions) == 1
    assert registry.not_indexed() == ()


@pytest.mark.slow
def test_a_version_whose_bytes_are_gone_is_not_indexed_by_hearsay(
    registry: HttpRegistry, embedded: SqlRegistry
) -> None:
    other = ModelName("other")
    embedded.ensure_model(other, "ana")
    embedded.register(NewVersion(other, complete().digest, complete=True), "ana")
    with pytest.raises(NotFound):
        registry.index(other, VersionNumber(1), LIE)
    assert len(registry.not_indexed()) == 1
