"""The composition root: which adapters a project gets, who is asking, and what is refused before anything is made."""

import gc
import getpass
import os
import subprocess
import threading
import weakref
from pathlib import Path
from typing import Any

import pytest

from holdfast.config import HOME_NAME, Settings
from holdfast.errors import AlreadyExists, HoldfastError, NotFound, PermissionRefused, Unavailable, UsageError
from holdfast.names import ModelName
from holdfast.registry.http import HttpRegistry
from holdfast.store.remote.address import Address
from holdfast.store.remote.service import ServiceStore
from holdfast.tracking import NewRun
from holdfast.tracking.http import HttpTracking
from holdfast.upkeep.remotes import NamedRemote
from holdfast.wire import Project, create_project, open_exchange, open_files, open_project
from tests.blank import blank_project
from tests.postgres import PostgresServer
from tests.projects import open_handles


@pytest.fixture(autouse=True)
def bare(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No Holdfast, and nobody's Git identity, in the environment."""
    for name in [name for name in os.environ if name.startswith(("HOLDFAST_", "GIT_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    monkeypatch.setenv("GIT_CONFIG_SYSTEM", os.devnull)
    monkeypatch.chdir(tmp_path)


def git(folder: Path, *arguments: str) -> None:
    subprocess.run(["git", *arguments], cwd=folder, check=True, capture_output=True)


def opened_in(folder: Path) -> Project:
    return open_project(create_project(folder))


class TestCreating:
    def test_a_new_project_has_a_home_that_git_does_not_see_and_a_policy_that_it_does(self, tmp_path: Path) -> None:
        settings = create_project(tmp_path)
        assert (settings.home / ".gitignore").read_text() == "*\n"
        assert settings.home.stat().st_mode & 0o777 == 0o700
        assert (tmp_path / "holdfast.toml").is_file()
        with open_project(settings) as project:
            assert project.registry.models() == ()
            assert list(project.store.digests()) == []
        git(tmp_path, "init")
        git(tmp_path, "add", ".")
        listed = subprocess.run(["git", "ls-files"], cwd=tmp_path, check=True, capture_output=True, text=True)
        assert listed.stdout == "holdfast.toml\n"

    def test_a_folder_that_does_not_exist_is_made(self, tmp_path: Path) -> None:
        assert create_project(tmp_path / "deep/new").home == tmp_path / "deep/new" / HOME_NAME

    def test_twice_is_refused_and_touches_nothing(self, tmp_path: Path) -> None:
        settings = create_project(tmp_path)
        with open_project(settings) as project:
            project.registry.ensure_model(ModelName("churn"), "ana")
        with pytest.raises(AlreadyExists) as caught:
            create_project(tmp_path)
        assert caught.value.details["home"] == str(settings.home)
        with open_project(settings) as project:
            assert [str(model.name) for model in project.registry.models()] == ["churn"]

    def test_of_several_at_once_one_makes_it(self, tmp_path: Path) -> None:
        said: list[object] = []

        def make() -> None:
            try:
                said.append(create_project(tmp_path))
            except HoldfastError as error:
                said.append(error)

        threads = [threading.Thread(target=make) for _ in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(type(answer).__name__ for answer in said) == ["AlreadyExists"] * 5 + ["Settings"]

    def test_a_policy_that_is_there_stays(self, tmp_path: Path) -> None:
        (tmp_path / "holdfast.toml").write_text("[gate.production]\nmargin = 0.1\n")
        with opened_in(tmp_path) as project:
            assert project.policy.document == {"gate": {"production": {"margin": 0.1}}}

    @pytest.mark.parametrize(
        ("variable", "value"), [("HOLDFAST_URL", "ftp://holdfast.example"), ("HOLDFAST_STORE_URL", "ftp://bucket")]
    )
    def test_what_cannot_be_opened_is_not_made(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, variable: str, value: str
    ) -> None:
        monkeypatch.setenv(variable, value)
        with pytest.raises(UsageError, match=f"{variable}|ftp"):
            create_project(tmp_path)
        assert list(tmp_path.iterdir()) == []

    def test_new_models_get_the_stages_that_the_policy_names(self, tmp_path: Path) -> None:
        (tmp_path / "holdfast.toml").write_text('[stages]\nnames = ["canary", "live"]\n')
        with opened_in(tmp_path) as project:
            assert [str(stage) for stage in project.workshop.stages] == ["canary", "live"]

    def test_a_policy_that_is_not_valid_is_refused_before_anything_is_made(self, tmp_path: Path) -> None:
        (tmp_path / "holdfast.toml").write_text("[gate.production]\nmargn = 0.1\n")
        with pytest.raises(UsageError, match="margn"):
            create_project(tmp_path)
        assert [path.name for path in tmp_path.iterdir()] == ["holdfast.toml"]

    def test_a_folder_that_is_a_file_is_refused_in_words(self, tmp_path: Path) -> None:
        (tmp_path / "file").write_text("")
        with pytest.raises((UsageError, PermissionRefused, AlreadyExists), match="file"):
            create_project(tmp_path / "file")


class TestOpening:
    def test_a_server_keeps_names_runs_and_bytes_and_is_not_asked_before_it_has_to_be(self, tmp_path: Path) -> None:
        blank_project(tmp_path)
        settings = Settings.at(tmp_path / HOME_NAME, {"HOLDFAST_URL": "https://holdfast.example"})
        with open_project(settings) as project:
            assert isinstance(project.unwatched, HttpRegistry)
            assert isinstance(project.tracking, HttpTracking)
            assert isinstance(project.store, ServiceStore)
            with pytest.raises(UsageError, match="gives away what is its own"):
                open_files(project)

    def test_a_store_elsewhere_is_refused_without_telling_its_password(self, tmp_path: Path) -> None:
        blank_project(tmp_path)
        url = "s3://ana:secret-word@bucket/path"
        with pytest.raises(UsageError, match="a user or a password") as caught:
            open_project(Settings.at(tmp_path / HOME_NAME, {"HOLDFAST_STORE_URL": url}))
        assert "secret-word" not in str(caught.value.to_json())

    def test_a_database_of_another_kind_is_refused_without_telling_its_password(self, tmp_path: Path) -> None:
        blank_project(tmp_path)
        url = "mysql://ana:secret-word@host/registry"
        with pytest.raises(UsageError, match="SQLite or PostgreSQL") as caught:
            open_project(Settings.at(tmp_path / HOME_NAME, {"HOLDFAST_DATABASE_URL": url}))
        assert "secret-word" not in str(caught.value.to_json())

    def test_the_store_and_the_database_may_lie_elsewhere(self, tmp_path: Path) -> None:
        blank_project(tmp_path / "project")
        (tmp_path / "elsewhere").mkdir()
        environment = {
            "HOLDFAST_STORE_URL": str(tmp_path / "elsewhere/store"),
            "HOLDFAST_DATABASE_URL": f"sqlite:///{tmp_path}/elsewhere/names.db",
        }
        with open_project(Settings.at(tmp_path / "project" / HOME_NAME, environment)) as project:
            project.registry.ensure_model(ModelName("churn"), "ana")
        assert (tmp_path / "elsewhere/store/config.json").is_file()
        assert (tmp_path / "elsewhere/names.db").is_file()

    @pytest.mark.slow
    def test_names_and_runs_on_a_server_and_bytes_here(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, postgres_url: str
    ) -> None:
        monkeypatch.setenv("HOLDFAST_DATABASE_URL", postgres_url)
        for folder in ("one", "two"):
            with opened_in(tmp_path / folder) as project:
                project.registry.ensure_model(ModelName("churn"), "ana")
                run = project.tracking.start_run(NewRun(name=folder), "ana")
        assert [model.name for model in project.registry.models()] == [ModelName("churn")]
        assert [found.name for found in project.tracking.search()] == ["two", "one"]
        assert run.name == "two"
        assert list(tmp_path.rglob("registry.db")) == []
        assert "secret" not in repr(Settings.at(tmp_path, {"HOLDFAST_DATABASE_URL": "postgresql://a:secret@h/n"}))

    @pytest.mark.slow
    def test_a_server_that_is_not_there_leaves_nothing_half_made(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, postgres: PostgresServer
    ) -> None:
        monkeypatch.setenv("HOLDFAST_DATABASE_URL", postgres.url("names", port=1))
        with pytest.raises(Unavailable):
            create_project(tmp_path)
        assert list(tmp_path.iterdir()) == []

    def test_a_store_in_a_remote_is_worked_on_directly(self, tmp_path: Path) -> None:
        blank_project(tmp_path / "project")
        environment = {"HOLDFAST_STORE_URL": f"file://{tmp_path}/shared", "HOLDFAST_STORE_CACHE_BYTES_MAX": "1000000"}
        settings = Settings.at(tmp_path / "project" / HOME_NAME, environment)
        with open_project(settings) as project:
            with project.store.writer() as writer:
                digest = writer.add_bytes(b"for everybody").digest
                writer.commit()
            with pytest.raises(UsageError, match="directly on a remote"):
                open_exchange(project, NamedRemote("origin", Address.parse(str(tmp_path / "other"))))
        assert len(list((tmp_path / "shared/packs").glob("*/*"))) == 1
        blank_project(tmp_path / "second")
        with open_project(Settings.at(tmp_path / "second" / HOME_NAME, environment)) as project:
            assert project.store.read(digest, bytes_max=100) == b"for everybody"

    def test_a_home_that_is_gone_is_refused(self, tmp_path: Path) -> None:
        with pytest.raises(NotFound):
            open_project(Settings.at(tmp_path / "nowhere" / HOME_NAME, {"HOLDFAST_STORE_URL": str(tmp_path / "s")}))

    def test_the_database_is_opened_when_it_is_asked_for(self, tmp_path: Path) -> None:
        settings = blank_project(tmp_path)
        (settings.home / "registry.db").write_bytes(b"not a database, and long enough to be looked at" * 10)
        with open_project(settings) as project:
            assert list(project.store.digests()) == []
            assert open_handles(tmp_path) == []
            with pytest.raises(HoldfastError):
                _ = project.registry

    def test_registry_and_runs_share_one_database_whoever_asks_first(self, tmp_path: Path) -> None:
        with open_project(blank_project(tmp_path)) as project:
            found: list[object] = []
            names: Any = project.names
            threads = [threading.Thread(target=lambda: found.append(names.database())) for _ in range(6)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            assert len(set(map(id, found))) == 1
            assert project.registry is project.registry

    def test_a_database_url_that_is_none_is_refused(self, tmp_path: Path) -> None:
        blank_project(tmp_path)
        with pytest.raises(UsageError, match="HOLDFAST_DATABASE_URL is not a URL"):
            open_project(Settings.at(tmp_path / HOME_NAME, {"HOLDFAST_DATABASE_URL": "names.db"}))

    def test_leaving_it_closes_the_database_and_twice_is_no_harm(self, tmp_path: Path) -> None:
        with open_project(blank_project(tmp_path)) as project:
            project.registry.models()
            assert open_handles(tmp_path) != []
        assert open_handles(tmp_path) == []
        project.close()

    def test_a_project_that_nobody_has_any_more_holds_nothing_open(self, tmp_path: Path) -> None:
        project = open_project(blank_project(tmp_path))
        registry = project.registry
        registry.models()
        watch = weakref.ref(project)
        del project
        gc.collect()
        assert watch() is None
        assert open_handles(tmp_path) == []
        assert registry.models() == ()


class TestWhoIsAsking:
    def actor(self, folder: Path) -> str:
        with open_project(Settings.at(folder / HOME_NAME, {})) as project:
            return project.actor

    @pytest.fixture
    def repository(self, tmp_path: Path) -> Path:
        blank_project(tmp_path)
        git(tmp_path, "init")
        return tmp_path

    def test_git_config_says_who(self, repository: Path) -> None:
        git(repository, "config", "user.name", "Ana")
        git(repository, "config", "user.email", "ana@example.org")
        assert self.actor(repository) == "Ana <ana@example.org>"

    def test_half_an_identity_is_better_than_none(self, repository: Path) -> None:
        git(repository, "config", "user.email", "ana@example.org")
        assert self.actor(repository) == "ana@example.org"

    def test_the_environment_wins_over_the_configuration(
        self, repository: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        git(repository, "config", "user.name", "Ana")
        git(repository, "config", "user.email", "ana@example.org")
        monkeypatch.setenv("GIT_AUTHOR_NAME", "Bob")
        monkeypatch.setenv("GIT_AUTHOR_EMAIL", "bob@example.org")
        assert self.actor(repository) == "Bob <bob@example.org>"

    def test_without_git_it_is_the_system_user(self, repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("PATH", "")
        assert self.actor(repository) == getpass.getuser()

    def test_a_user_that_no_list_names_is_a_number(self, repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        def unknown() -> str:
            raise KeyError("uid not found")

        monkeypatch.setattr(getpass, "getuser", unknown)
        assert self.actor(repository) == f"uid {os.getuid()}"
