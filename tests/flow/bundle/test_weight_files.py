"""Weights in files and folders: what belongs to them, and whether they are an adapter."""

import json
from pathlib import Path

import pytest

from holdfast.errors import NotFound, TooLarge, UsageError
from holdfast.flow.bundle import weight_files as module
from holdfast.flow.bundle.weight_files import weight_files


def put(folder: Path, **files: str) -> Path:
    """Files by their names, in which two underscores are a dot."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (folder / name.replace("__", ".")).write_text(text)
    return folder


CONFIG = json.dumps({"base_model_name_or_path": "somebody/llama", "peft_type": "LORA", "r": 8})


def test_one_file_is_taken_alone(tmp_path: Path) -> None:
    found = weight_files(put(tmp_path, model__safetensors="w", notes__txt="n") / "model.safetensors")
    assert found.files == {"model.safetensors": tmp_path / "model.safetensors"}
    assert (found.format, found.loader, found.executes_code, found.adapts) == ("safetensors", "none", False, None)


def test_a_folder_is_taken_whole_but_for_hidden_files(tmp_path: Path) -> None:
    put(tmp_path, b__safetensors="2", a__safetensors="1", config__json="{}", __gitattributes="x")
    put(tmp_path / "tokens", vocabulary__txt="a b")
    put(tmp_path / ".cache", lock__txt="x")
    found = weight_files(tmp_path)
    assert list(found.files) == ["a.safetensors", "b.safetensors", "config.json", "tokens/vocabulary.txt"]
    assert found.files["tokens/vocabulary.txt"].read_text() == "a b"
    assert (found.format, found.executes_code, found.adapts) == ("safetensors", False, None)


@pytest.mark.parametrize("beside", ["training_args__bin", "modeling__py", "state", "optimizer__pkl_"])
def test_what_may_run_code_beside_the_weights_is_said(tmp_path: Path, beside: str) -> None:
    put(tmp_path, model__safetensors="w", **{beside: "x"})
    assert weight_files(tmp_path).executes_code
    assert not weight_files(tmp_path / "model.safetensors").executes_code


@pytest.mark.parametrize("name", ["", "adapter_model.safetensors"])
@pytest.mark.parametrize(
    ("config", "base"),
    [(CONFIG, "somebody/llama"), ("{}", ""), ("not json", ""), ("[1]", ""), ('{"base_model_name_or_path": 7}', "")],
)
def test_an_adapter_is_known_by_its_config(tmp_path: Path, name: str, config: str, base: str) -> None:
    put(tmp_path, adapter_model__safetensors="w", adapter_config__json=config)
    found = weight_files(tmp_path / name)
    assert found.adapts == base
    assert list(found.files) == ["adapter_config.json", "adapter_model.safetensors"]


def test_other_weights_beside_the_config_of_an_adapter_are_none(tmp_path: Path) -> None:
    put(tmp_path, merged__safetensors="w", adapter_model__safetensors="w", adapter_config__json=CONFIG)
    assert weight_files(tmp_path / "merged.safetensors").adapts is None


def test_a_config_that_is_too_long_is_not_read_for_a_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_CONFIG_BYTES_MAX", len(CONFIG) - 1)
    put(tmp_path, adapter_model__safetensors="w", adapter_config__json=CONFIG)
    assert weight_files(tmp_path).adapts == ""


@pytest.mark.parametrize(
    ("files", "why"),
    [
        ({}, "none"),
        ({"notes__txt": "x"}, "none"),
        ({"a__safetensors": "x", "b__onnx": "x"}, "onnx, safetensors"),
        ({"model__joblib": "x"}, "one file"),
    ],
)
def test_a_folder_without_weights_of_one_kind_is_refused(tmp_path: Path, files: dict[str, str], why: str) -> None:
    with pytest.raises(UsageError, match=why):
        weight_files(put(tmp_path, **files))


def test_what_is_not_there_or_of_no_known_kind_is_refused(tmp_path: Path) -> None:
    with pytest.raises(NotFound):
        weight_files(tmp_path / "nothing")
    with pytest.raises(UsageError, match="known kind"):
        weight_files(put(tmp_path, notes__txt="x") / "notes.txt")


def test_a_link_to_a_folder_is_refused_and_one_to_a_file_is_followed(tmp_path: Path) -> None:
    put(tmp_path / "blobs", one="weights")
    folder = put(tmp_path / "model")
    (folder / "model.safetensors").symlink_to(tmp_path / "blobs/one")
    (path,) = weight_files(folder).files.values()
    assert path.read_text() == "weights"
    (folder / "more").symlink_to(tmp_path / "blobs")
    with pytest.raises(UsageError, match="link to a folder"):
        weight_files(folder)


def test_a_folder_of_too_many_files_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "BUNDLE_FILES_MAX", 2)
    put(tmp_path, a__safetensors="1", b__json="2")
    weight_files(tmp_path)
    put(tmp_path, c__json="3")
    with pytest.raises(TooLarge):
        weight_files(tmp_path)
