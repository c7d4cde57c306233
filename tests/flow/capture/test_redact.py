import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.flow.capture.redact import (
    REDACTED,
    allowed_environment,
    may_hold_secrets,
    redact_argv,
    redact_json,
    redact_text,
)

SECRET = "hunter2hunter2"


@pytest.mark.parametrize(
    "text",
    [
        f"postgresql://ana:{SECRET}@db.example.org/churn",
        f"https://{SECRET}@example.org/repo.git",
        f"git+https://ana:{SECRET}@example.org/repo.git@abc",
        f"ssh://git:{SECRET}@example.org/repo",
        f"https://example.org/data?token={SECRET}&page=2",
        f"https://example.org/data?page=2&X-Amz-Signature={SECRET}",
        f"https://example.org/data?sig={SECRET}",
        f"Authorization: Bearer {SECRET}",
        f'password = "{SECRET}"',
        f"api_key: '{SECRET}'",
        f"-----BEGIN RSA PRIVATE KEY-----\n{SECRET}\n-----END RSA PRIVATE KEY-----",
        f"hf_{SECRET}{SECRET}",
        f"sk-{SECRET}{SECRET}",
    ],
)
def test_a_secret_is_taken_out_of_text(text: str) -> None:
    assert SECRET not in redact_text(text)
    assert REDACTED in redact_text(text)


def test_a_key_of_a_known_shape_is_taken_out_wherever_it_stands() -> None:
    assert "AKIA" not in redact_text("prefix=AKIAABCDEFGHIJKLMNOP suffix")


@pytest.mark.parametrize(
    "text",
    [
        "python train.py --lr 0.1",
        "https://example.org/team/churn?page=2",
        "git@example.org:team/churn.git",
        "ssh://git@example.org/churn.git",
        "user@example.org",
        "data/2026@v2/train.parquet",
        "max_tokens = 512",
    ],
)
def test_harmless_text_stays_as_it_is(text: str) -> None:
    assert redact_text(text) == text


@pytest.mark.parametrize(
    "words",
    [
        ["--token", SECRET],
        ["--api-key", SECRET],
        ["--apiKey", SECRET],
        [f"--password={SECRET}"],
        [f"--db-password={SECRET}"],
        [f"AWS_SECRET_ACCESS_KEY={SECRET}"],
        [f"AWS_SESSION_TOKEN={SECRET}"],
        [f"hydra.wandb.api_key={SECRET}"],
        ["--header", f"Authorization: Bearer {SECRET}"],
        ["--url", f"mysql://ana:{SECRET}@db/x"],
    ],
)
def test_a_secret_is_taken_out_of_the_arguments(words: list[str]) -> None:
    argv = ["env", *words, "python", "train.py", "--lr", "0.1"]
    found = redact_argv(argv)
    assert SECRET not in " ".join(found)
    assert len(found) == len(argv)
    assert found[-4:] == ("python", "train.py", "--lr", "0.1")


@pytest.mark.parametrize(
    "words",
    [
        ["--max-tokens", "512"],
        ["--tokenizer", "bert-base"],
        ["--pad-token", "<pad>"],
        ["--mask_token=<mask>"],
        ["--key", "customer_id"],
        ["--primary-key=id"],
        ["--author", "ana"],
        ["--token", "--verbose"],
    ],
)
def test_arguments_that_only_sound_secret_stay(words: list[str]) -> None:
    assert list(redact_argv(words)) == words


def test_json_is_redacted_by_key_and_by_value() -> None:
    value = {"password": SECRET, "url": f"https://a:{SECRET}@b/", "rows": [1, f"Bearer {SECRET}"], "secret_count": 3}
    assert SECRET not in str(redact_json(value))
    assert redact_json(value)["secret_count"] == 3


def test_only_variables_of_the_allow_list_are_captured() -> None:
    environment = {
        "OMP_NUM_THREADS": "4",
        "CUDA_VISIBLE_DEVICES": "0",
        "PYTHONHASHSEED": "7",
        "AWS_SECRET_ACCESS_KEY": SECRET,
        "HOLDFAST_TOKEN": SECRET,
        "PIP_INDEX_URL": f"https://a:{SECRET}@index/",
        "MY_OWN": SECRET,
    }
    assert allowed_environment(environment) == {
        "CUDA_VISIBLE_DEVICES": "0",
        "OMP_NUM_THREADS": "4",
        "PYTHONHASHSEED": "7",
    }


@pytest.mark.parametrize(
    "name", [".env", ".env.local", "a/.netrc", "pip.conf", "id_rsa", "tls/server.pem", "secrets.yaml"]
)
def test_files_named_for_their_secrets_are_known(name: str) -> None:
    assert may_hold_secrets(name)


@pytest.mark.parametrize("name", ["train.py", "keys.csv", "environment.yml", "data/secretary.csv", "env.py"])
def test_other_files_are_not(name: str) -> None:
    assert not may_hold_secrets(name)


@given(st.text())
def test_redacting_twice_is_redacting_once(text: str) -> None:
    assert redact_text(redact_text(text)) == redact_text(text)


@given(st.lists(st.text()))
def test_the_number_of_arguments_stays(argv: list[str]) -> None:
    assert len(redact_argv(argv)) == len(argv)
