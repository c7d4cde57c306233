"""Settings: found once, at the edge."""

from pathlib import Path

import pytest

import holdfast
from holdfast.config import HOME_NAME, POLICY_NAME, STORE_CACHE_BYTES_MAX, VERSION, Settings
from holdfast.errors import NoProject, UsageError


def test_the_home_is_found_upwards(tmp_path: Path) -> None:
    home = tmp_path / "project" / HOME_NAME
    home.mkdir(parents=True)
    deep = tmp_path / "project" / "a" / "b"
    deep.mkdir(parents=True)
    found = Settings.find(deep, {})
    assert found.home == home
    assert found.project == tmp_path / "project"
    assert found.policy_path == tmp_path / "project" / POLICY_NAME
    assert found.cache == home / "cache"
    assert found.scratch == home / "tmp"
    assert found.database_url == f"sqlite:///{home / 'registry.db'}"
    assert found.store_url == str(home / "store")
    assert (found.url, found.token) == (None, None)


def test_the_nearest_home_counts(tmp_path: Path) -> None:
    for folder in (tmp_path, tmp_path / "inner"):
        (folder / HOME_NAME).mkdir(parents=True)
    assert Settings.find(tmp_path / "inner", {}).project == tmp_path / "inner"


def test_a_file_of_that_name_is_no_home(tmp_path: Path) -> None:
    (tmp_path / HOME_NAME).write_text("")
    with pytest.raises(NoProject) as error:
        Settings.find(tmp_path, {})
    assert "holdfast init" in error.value.hint


def test_the_home_can_be_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path)
    found = Settings.find(tmp_path, {"HOLDFAST_HOME": "elsewhere"})
    assert found.home == tmp_path / "elsewhere"
    assert found.home.is_absolute()
    with pytest.raises(NoProject, match="not a folder"):
        Settings.find(tmp_path, {"HOLDFAST_HOME": "nowhere"})


def test_where_clients_reach_a_server_is_an_address(tmp_path: Path) -> None:
    assert (
        Settings.at(tmp_path, {"HOLDFAST_PUBLIC_URL": "https://example.org/x/"}).public_url == "https://example.org/x"
    )
    assert Settings.at(tmp_path, {"HOLDFAST_PUBLIC_URL": ""}).public_url is None
    for wrong in ("models.example.org", "s3://models", "https://"):
        with pytest.raises(UsageError, match="HOLDFAST_PUBLIC_URL"):
            Settings.at(tmp_path, {"HOLDFAST_PUBLIC_URL": wrong})


def test_what_the_environment_says_goes_before_the_defaults_and_empty_says_nothing(tmp_path: Path) -> None:
    environment = {
        "HOLDFAST_DATABASE_URL": "postgresql:///x",
        "HOLDFAST_STORE_URL": "/big/disk",
        "HOLDFAST_URL": "http://localhost:8080",
        "HOLDFAST_TOKEN": "secret-of-ana",
    }
    found = Settings.at(tmp_path, environment)
    assert (found.database_url, found.store_url) == ("postgresql:///x", "/big/disk")
    assert (found.url, found.token) == ("http://localhost:8080", "secret-of-ana")
    assert Settings.at(tmp_path, dict.fromkeys(environment, "")) == Settings.at(tmp_path, {})


def test_a_token_is_never_printed(tmp_path: Path) -> None:
    assert "secret-of-ana" not in repr(Settings.at(tmp_path, {"HOLDFAST_TOKEN": "secret-of-ana"}))


def test_there_is_one_version_of_holdfast() -> None:
    assert holdfast.__version__ == VERSION


def test_the_cache_of_a_store_elsewhere_is_bounded(tmp_path: Path) -> None:
    assert Settings.at(tmp_path, {}).store_cache_bytes_max == STORE_CACHE_BYTES_MAX
    found = Settings.at(tmp_path, {"HOLDFAST_STORE_CACHE_BYTES_MAX": "1000"})
    assert found.store_cache_bytes_max == 1000
    for text in ("-1", "10 GB", "1e9", "\u0661"):
        with pytest.raises(UsageError, match="HOLDFAST_STORE_CACHE_BYTES_MAX"):
            Settings.at(tmp_path, {"HOLDFAST_STORE_CACHE_BYTES_MAX": text})
