"""`export` and `serve-bundle`: a version for the systems of others, pinned by its digest, and answering by itself."""

import hashlib
import io
import json
import os
import tarfile
from pathlib import Path
from typing import Any

import httpx
import pytest
from dockerfile_parse import DockerfileParser

from tests.cli.test_serve import serving
from tests.cli.test_server import get
from tests.commands import Cli
from tests.patience import PATIENCE_SECONDS, until
from tests.projects import HOLDOUT_ROWS, TARGET

IMAGE = "registry.example.org/churn@sha256:" + "ab" * 32


def blob(layout: Path, described: dict[str, Any]) -> bytes:
    data: bytes = (layout / "blobs" / described["digest"].replace(":", "/")).read_bytes()
    assert len(data) == described["size"]
    assert f"sha256:{hashlib.sha256(data).hexdigest()}" == described["digest"]
    return data


def test_a_layout_holds_the_bundle_under_its_digests_and_is_the_same_every_time(cli: Cli, moved: Path) -> None:
    said = cli.json("export", "oci", "churn@2", "layout")
    assert json.loads((moved / "layout/oci-layout").read_bytes()) == {"imageLayoutVersion": "1.0.0"}
    (image,) = json.loads((moved / "layout/index.json").read_bytes())["manifests"]
    assert image["digest"] == said["image"]
    manifest = json.loads(blob(moved / "layout", image))
    assert manifest["annotations"]["holdfast/digest"] == said["digest"]
    (layer,) = manifest["layers"]
    config = json.loads(blob(moved / "layout", manifest["config"]))
    assert config["rootfs"]["diff_ids"] == [layer["digest"]]
    blob(moved / "layout", layer)
    with tarfile.open(moved / "layout/blobs" / layer["digest"].replace(":", "/")) as tar:
        assert all(one.isfile() or one.isdir() for one in tar)
        tar.extractall(moved / "unpacked")  # noqa: S202 - made two lines above
    cli.ok("checkout", "churn@2", "bundle")
    there = {path.relative_to(moved / "bundle") for path in (moved / "bundle").rglob("*") if path.is_file()}
    for path in there:
        assert (moved / "unpacked/models" / path).read_bytes() == (moved / "bundle" / path).read_bytes()
    assert {p.relative_to(moved / "unpacked/models") for p in (moved / "unpacked").rglob("*") if p.is_file()} == there
    assert cli.json("export", "oci", "churn@2", "again")["image"] == said["image"]
    cli.fails("already_exists", "export", "oci", "churn@2", "layout")


def test_a_recipe_pins_the_version_that_it_answers_with(cli: Cli, moved: Path) -> None:
    said = cli.json("export", "image", "churn@2", "image", "--base", IMAGE)
    parser = DockerfileParser(fileobj=io.BytesIO((moved / "image/Dockerfile").read_bytes()))
    steps = [(step["instruction"], step["value"]) for step in parser.structure]
    assert ("ARG", f"HOLDFAST={IMAGE}") in steps
    (run,) = [json.loads(value) for name, value in steps if name == "RUN" and "serve-bundle" in value]
    (command,) = [json.loads(value) for name, value in steps if name == "CMD" and "serve-bundle" in value]
    assert run[0] == "holdfast"
    for arguments in (run[1:], command):
        assert arguments[:2] == ["serve-bundle", "/bundle"]
        assert arguments[arguments.index("--digest") + 1] == said["digest"]
    assert (moved / "image/bundle/holdfast.json").is_file()
    cli.fails("already_exists", "export", "image", "churn@2", "image")


def test_a_manifest_points_at_nothing_that_can_change(cli: Cli, moved: Path) -> None:
    service = cli.json("export", "kserve", "churn@3", "--image", IMAGE, "--canary-percent", "10")
    assert service["kind"] == "InferenceService"
    assert service["spec"]["predictor"]["canaryTrafficPercent"] == 10
    digests = {n: cli.json("show", f"churn@{n}")["digest"] for n in (2, 3)}
    assert service["metadata"]["annotations"]["holdfast/digest"] == digests[3]
    assert service["metadata"]["annotations"]["holdfast/last-known-good"] == digests[2]
    assert "tomorrow" in cli.fails("usage", "export", "kserve", "churn@3", "--image", "churn:3")["message"]
    cli.fails("usage", "export", "kserve", "churn@3", "--storage-uri", "s3://bucket/churn")
    cli.fails("usage", "export", "kserve", "churn@3")
    cli.fails("usage", "export", "kserve", "churn@3", "--image", IMAGE, "--canary-percent", "0")
    cli.fails("usage", "export", "kserve", "churn@3", "--image", IMAGE, "--name", "9")
    place = f"s3://bucket/bundles/{digests[3].removeprefix('sha256:')}"
    cli.ok("export", "kserve", "churn@3", "--storage-uri", place, "--runtime-image", IMAGE, "--output", "both.json")
    runtime, service = json.loads((moved / "both.json").read_text())["items"]
    assert service["spec"]["predictor"]["model"]["runtime"] == runtime["metadata"]["name"]
    asked = runtime["spec"]["containers"][0]["args"] + service["spec"]["predictor"]["model"]["args"]
    assert asked[:2] == ["serve-bundle", "/mnt/models"]
    assert asked[-4:] == ["--version", "churn@3", "--digest", digests[3]]


def test_a_bundle_that_is_not_what_it_is_said_to_be_is_not_served(cli: Cli, moved: Path) -> None:
    cli.ok("checkout", "churn@2", "bundle")
    other = cli.json("show", "churn@1")["digest"]
    cli.fails("integrity", "serve-bundle", "bundle", "--version", "churn@1", "--digest", other)
    assert "churn" in cli.fails("usage", "serve-bundle", "bundle", "--version", "other@1")["message"]
    cli.fails("usage", "serve-bundle", "bundle", "--version", "churn@production")
    cli.fails("not_found", "serve-bundle", "nothing", "--version", "churn@1")
    (code,) = (moved / "bundle/code").glob("*.py")
    code.chmod(0o644)
    kept = code.read_bytes()
    code.write_bytes(kept + b"x = 1\n")
    cli.fails("integrity", "serve-bundle", "bundle", "--version", "churn@2", "--prepare")
    cli.fails("integrity", "serve-bundle", "bundle", "--version", "churn@2", "--port", "0")
    code.write_bytes(kept)
    said = cli.json("serve-bundle", "bundle", "--version", "churn@2", "--prepare")
    assert os.access(said["python"], os.X_OK)


@pytest.mark.slow
def test_a_bundle_answers_without_project_and_registry(cli: Cli, moved: Path, tmp_path: Path) -> None:
    said = cli.json("show", "churn@2")
    cli.ok("checkout", "churn@2", str(tmp_path / "bundle"))
    asked = (str(tmp_path / "bundle"), "--version", "churn@2", "--digest", said["digest"], "--port", "0", "--json")
    (tmp_path / "apart").mkdir()
    with serving(tmp_path / "apart", *asked, command="serve-bundle") as process:
        assert process.stdout is not None
        url = json.loads(process.stdout.readline())["url"]
        until(lambda: get(f"{url}/readyz").status_code == 200)
        row = {name: cell for name, cell in HOLDOUT_ROWS[0].items() if name != TARGET}
        answer = httpx.post(f"{url}/invocations", json={"dataframe_records": [row]}, timeout=PATIENCE_SECONDS)
        assert (answer.status_code, answer.headers["x-model-digest"]) == (200, said["digest"])
        assert answer.json()["version"] == 2
