"""An environment that is built because the lock differs; and the way in which uv is asked for it.

An index may be out of reach of a machine that runs these tests, so they install a wheel made on the spot. One test asks
for a version of `six`; where nobody serves it, it says so and is skipped.
"""

import hashlib
import io
import os
import subprocess
import sys
import tarfile
from dataclasses import replace
from importlib.metadata import version as installed_version
from pathlib import Path

import pytest

from holdfast.errors import BundleFailed, HoldfastError
from holdfast.evidence import Environment
from holdfast.names import RelativePath
from holdfast.runtime import building, environment, wheels
from holdfast.runtime.environment import AS_OF, Interpreter, interpreter_for, pins, unsatisfied
from holdfast.runtime.limits import FILE_BYTES_MAX, Limits
from holdfast.runtime.predictor import Predictor
from tests.runtime.conftest import SOURCE, Bundles
from tests.wheels import wheel

PYTHON = f"{sys.version_info.major}.{sys.version_info.minor}.0"


@pytest.fixture
def links(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of wheels that uv looks into, and nowhere else."""
    monkeypatch.setenv("UV_FIND_LINKS", str(tmp_path / "wheels"))
    monkeypatch.setenv("UV_OFFLINE", "1")
    monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / "uv"))
    monkeypatch.setenv("UV_PYTHON", sys.executable)
    return tmp_path / "wheels"


def imported(interpreter: Interpreter, line: str) -> str:
    done = subprocess.run(
        [str(interpreter.executable), "-P", "-c", line],
        env={**os.environ, **interpreter.variables},
        check=True,
        capture_output=True,
        text=True,
    )
    return done.stdout.strip()


def test_a_lock_is_read_with_all_that_real_locks_hold() -> None:
    lock = (
        "# pinned\n--index-url https://example.org/simple\n-e ./mine\nnumpy==2.1.0\n"
        "uvicorn[standard]==0.30.0 ; python_version >= '3.8'  # via x\n"
        "pandas==2.2.0 \\\n    --hash=sha256:abc \\\n    --hash=sha256:def\n"
        "plain\nranged>=1.0\nat @ file:///x\n  spaced == 1.0\narbitrary===1.0+cu121\n"
    )
    assert pins(lock) == [
        ("numpy", "2.1.0"), ("uvicorn", "0.30.0"), ("pandas", "2.2.0"), ("spaced", "1.0"), ("arbitrary", "1.0+cu121"),
    ]  # fmt: skip


def test_hashes_and_extras_do_not_make_a_pin_another_version() -> None:
    version = installed_version("pytest")
    lock = f"pytest[dev]=={version} \\\n    --hash=sha256:{'0' * 64}\npytest=={version} ; python_version > '3'\n"
    assert unsatisfied(Environment(PYTHON, RelativePath("l")), lock) == ()


def test_the_interpreter_that_runs_is_used_where_it_satisfies_the_lock(bundles: Bundles, tmp_path: Path) -> None:
    assert interpreter_for(bundles(), tmp_path / "cache") == Interpreter(Path(sys.executable))
    assert not (tmp_path / "cache").exists()


def test_uv_trusts_what_the_machine_trusts_unless_somebody_said_otherwise(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = tmp_path / "ca-certificates.crt"
    monkeypatch.setattr(building, "_CERTIFICATES", (str(store),))
    assert "UV_SYSTEM_CERTS" not in building.variables_for_uv({})
    store.write_text("")
    found = building.variables_for_uv({"VIRTUAL_ENV": "/x", "PATH": "/bin"})
    assert (found["UV_SYSTEM_CERTS"], found["UV_NATIVE_TLS"], found["PATH"]) == ("true", "true", "/bin")
    assert "VIRTUAL_ENV" not in found
    for said in ("SSL_CERT_FILE", "SSL_CERT_DIR", "UV_SYSTEM_CERTS", "UV_NATIVE_TLS"):
        assert building.variables_for_uv({said: "false"}) == {said: "false"}


@pytest.mark.parametrize("python", ["3.10.4", "2.7.18", "3", "", "pypy", "three.ten"])
def test_a_python_that_no_worker_runs_in_is_refused_before_anything_is_built(
    bundles: Bundles, tmp_path: Path, python: str
) -> None:
    with pytest.raises(BundleFailed, match="in which no worker runs"):
        interpreter_for(bundles(python=python), tmp_path / "cache")
    assert list((tmp_path / "cache").rglob("*")) == []


def test_a_lock_that_is_no_text_is_refused(bundles: Bundles, tmp_path: Path) -> None:
    with pytest.raises(BundleFailed, match="lock is not text"):
        interpreter_for(bundles(more={"requirements.lock": b"\xff\xfe"}), tmp_path / "cache")


@pytest.mark.slow
def test_an_environment_is_built_once_for_a_lock_and_a_bundle_runs_in_it(
    bundles: Bundles, tmp_path: Path, links: Path
) -> None:
    wheel(links, "holdfast_pinned", "1.5", "VALUE = 'pinned'\n")
    # A loader needs joblib, numpy and scikit-learn, which this lock does not bring: what is asked here is only whether
    # the bundle's own code runs in the environment, with Holdfast carried in.
    files = bundles(
        "from holdfast_pinned import VALUE\nraise RuntimeError(f'here is {VALUE}')\n", lock="holdfast_pinned==1.5\n"
    )
    interpreter = interpreter_for(files, tmp_path / "cache")
    assert interpreter.executable.is_relative_to(tmp_path / "cache" / "environments")
    assert imported(interpreter, "import holdfast_pinned; print(holdfast_pinned.VALUE)") == "pinned"
    assert imported(
        interpreter, "import holdfast.runtime.worker; import holdfast; print(holdfast.__file__)"
    ).startswith(str(tmp_path / "cache" / "carried"))
    with pytest.raises(BundleFailed, match="here is pinned"):
        Predictor.start(files, interpreter)
    # Built once: the second time nothing is asked of uv at all.
    before = interpreter.executable.parent.stat().st_mtime_ns
    assert interpreter_for(files, tmp_path / "cache") == interpreter
    assert interpreter.executable.parent.stat().st_mtime_ns == before
    assert not [path for path in (tmp_path / "cache" / "environments").iterdir() if path.name.startswith(".")]


@pytest.mark.slow
def test_a_lock_that_names_only_what_was_asked_for_is_completed_as_of_its_moment(
    bundles: Bundles, tmp_path: Path, links: Path
) -> None:
    wheel(links, "holdfast_asked", "1.0", "", requires="holdfast_needed>=1")
    wheel(links, "holdfast_needed", "1.0", "")
    files = bundles(lock="holdfast_asked==1.0\n")
    loose = Environment(PYTHON, RelativePath("requirements.lock"), {AS_OF: "2100-01-01T00:00:00Z"})
    evidence = replace(files.manifest.evidence, environment=loose)
    open_ended = replace(files, manifest=replace(files.manifest, evidence=evidence))
    there = "from importlib.util import find_spec; print(find_spec('holdfast_needed') is not None)"
    assert imported(interpreter_for(files, tmp_path / "cache"), there) == "False"
    assert imported(interpreter_for(open_ended, tmp_path / "cache"), there) == "True"


@pytest.mark.slow
def test_nothing_that_was_installed_runs_before_the_limits_stand(bundles: Bundles, tmp_path: Path, links: Path) -> None:
    """What a wheel does when Python starts is done neither by those who build nor outside a worker's walls."""
    proof = tmp_path / "started"
    begins = (
        "import contextlib, resource, sys\n"
        "sys.begun_with = resource.getrlimit(resource.RLIMIT_FSIZE)[0]\n"
        f"with contextlib.suppress(OSError):\n    open({str(proof)!r}, 'w').close()\n"
    )
    # By a `.pth` file: some systems have a `sitecustomize` of their own, which comes before any that is installed.
    wheel(links, "at_start", "1.0", begins, {"at_start.pth": "import at_start\n"})
    files = bundles("import sys\nraise RuntimeError(f'begun with {sys.begun_with}')\n", lock="at_start==1.0\n")
    interpreter = interpreter_for(files, tmp_path / "cache")
    assert not proof.exists()
    assert list((tmp_path / "cache").rglob("at_start.*.pyc"))
    with pytest.raises(BundleFailed, match=f"begun with {FILE_BYTES_MAX}"):
        Predictor.start(files, interpreter, limits=Limits.of_gate())


@pytest.mark.slow
def test_an_environment_whose_interpreter_is_gone_is_built_again(bundles: Bundles, tmp_path: Path, links: Path) -> None:
    wheel(links, "holdfast_pinned", "1.5", "VALUE = 3\n")
    files = bundles(lock="holdfast_pinned==1.5\n")
    interpreter = interpreter_for(files, tmp_path / "cache")
    interpreter.executable.unlink()
    interpreter.executable.symlink_to("/nowhere/python")
    again = interpreter_for(files, tmp_path / "cache")
    assert again == interpreter
    assert imported(again, "import holdfast_pinned; print(holdfast_pinned.VALUE)") == "3"


@pytest.mark.slow
def test_a_lock_that_nobody_can_serve_says_what_uv_said_and_leaves_nothing(
    bundles: Bundles, tmp_path: Path, links: Path
) -> None:
    links.mkdir()
    files = bundles(lock="holdfast_pinned==9.9\n")
    with pytest.raises(BundleFailed, match="holdfast-pinned") as error:
        interpreter_for(files, tmp_path / "cache")
    assert "could not be built" in error.value.message
    assert error.value.hint
    assert [path.suffix for path in (tmp_path / "cache" / "environments").iterdir()] == [".lock"]


@pytest.mark.slow
def test_what_would_have_to_be_built_from_source_runs_nobodys_code(
    bundles: Bundles, tmp_path: Path, links: Path
) -> None:
    links.mkdir()
    proof = tmp_path / "setup ran"
    with tarfile.open(links / "holdfast_source-1.0.tar.gz", "w:gz") as archive:
        for name, text in {
            "setup.py": f"open({str(proof)!r}, 'w').close()\nfrom setuptools import setup\nsetup()\n",
            "PKG-INFO": "Metadata-Version: 2.1\nName: holdfast-source\nVersion: 1.0\n",
        }.items():
            entry = tarfile.TarInfo(f"holdfast_source-1.0/{name}")
            entry.size = len(text)
            archive.addfile(entry, io.BytesIO(text.encode()))
    with pytest.raises(BundleFailed, match="could not be built") as error:
        interpreter_for(bundles(lock="holdfast_source==1.0\n"), tmp_path / "cache")
    assert "HOLDFAST_BUILD_FROM_SOURCE" in error.value.hint
    assert not proof.exists()


@pytest.mark.slow
def test_hashes_in_a_lock_are_held_against_what_the_index_gives(bundles: Bundles, tmp_path: Path, links: Path) -> None:
    path = wheel(links, "holdfast_pinned", "1.5", "VALUE = 3\n")
    right = hashlib.sha256(path.read_bytes()).hexdigest()
    for found, works in ((right, True), ("0" * 64, False)):
        files = bundles(lock=f"holdfast_pinned==1.5 \\\n    --hash=sha256:{found}\n")
        if works:
            assert imported(interpreter_for(files, tmp_path / "cache"), "import holdfast_pinned") == ""
        else:
            with pytest.raises(BundleFailed, match=r"(?i)hash"):
                interpreter_for(files, tmp_path / "cache")


def test_a_lock_is_hashed_when_every_requirement_of_it_is() -> None:
    one, other = f"numpy==2.1.0 \\\n    --hash=sha256:{'0' * 64}\n", "pandas==2.2.0\n"
    assert building.is_hashed(f"# pinned\n--index-url https://example.org/simple\n{one}")
    assert not building.is_hashed(one + other)
    assert not building.is_hashed("")


def test_the_index_of_uv_is_pips_index_too_unless_pip_has_its_own() -> None:
    ours = {"UV_INDEX": "inner=https://in.example/simple", "UV_INDEX_URL": "https://b.example", "UV_OFFLINE": "1"}
    found = wheels._variables(ours)
    assert found["PIP_EXTRA_INDEX_URL"] == "https://in.example/simple"
    assert (found["PIP_INDEX_URL"], found["PIP_NO_INDEX"]) == ("https://b.example", "1")
    assert wheels._variables({**ours, "PIP_INDEX_URL": "https://p.example"})["PIP_INDEX_URL"] == "https://p.example"


@pytest.mark.slow
def test_uv_that_is_not_there_is_named(bundles: Bundles, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sysconfig.get_path", lambda name: str(tmp_path / "nowhere"))
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(BundleFailed, match="could not be built") as error:
        interpreter_for(bundles(lock="holdfast_pinned==1.5\n"), tmp_path / "cache")
    assert "pip install uv" in error.value.hint


@pytest.mark.slow
def test_a_cache_that_cannot_be_written_is_an_error_of_ours(bundles: Bundles, tmp_path: Path, links: Path) -> None:
    (tmp_path / "cache").write_text("a file")
    with pytest.raises(HoldfastError) as error:
        interpreter_for(bundles(lock="holdfast_pinned==1.5\n"), tmp_path / "cache")
    assert error.value.hint


@pytest.mark.slow
def test_a_pin_from_a_real_index(bundles: Bundles, tmp_path: Path) -> None:
    files = bundles(lock="six==1.16.0\n")
    try:
        interpreter = interpreter_for(files, tmp_path / "cache")
    except BundleFailed as error:
        pytest.skip(f"no index serves six here: {error.message[-200:]}")
    assert imported(interpreter, "import six; print(six.__version__)") == "1.16.0"


@pytest.mark.slow
def test_another_installation_of_holdfast_has_links_of_its_own(
    bundles: Bundles, tmp_path: Path, links: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wheel(links, "holdfast_pinned", "1.5", "VALUE = 3\n")
    files = bundles(lock="holdfast_pinned==1.5\n")
    first = interpreter_for(files, tmp_path / "cache")
    monkeypatch.setattr(environment, "_CARRIED", ("holdfast", "rfc8785", "typer"))
    second = interpreter_for(files, tmp_path / "cache")
    assert first.executable == second.executable
    assert first.variables != second.variables
    carried = Path(second.variables["PYTHONPATH"])
    assert (carried / "holdfast").resolve() == SOURCE / "holdfast"
    assert {path.name for path in carried.iterdir()} == {"holdfast", "rfc8785", "typer"}
