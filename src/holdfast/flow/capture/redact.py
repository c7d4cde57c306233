"""Secrets are taken out before anything is written down.

    redact_text("postgres://ana:hunter2@db/x")            "postgres://[redacted]@db/x"
    redact_argv(["train.py", "--api-key", "abc"])         ["train.py", "--api-key", "[redacted]"]
    allowed_environment(os.environ)                       only variables that are known to hold no secret
    may_hold_secrets("config/.env")                       True: such a file is named, never read

What looks like a secret is redacted, even at the price of redacting something harmless: a hyperparameter can be logged
again under another name, a leaked key cannot be called back. The number of words in the arguments stays the same.
"""

import re
from collections.abc import Mapping, Sequence

from holdfast.canonical import Json

__all__ = ["REDACTED", "allowed_environment", "may_hold_secrets", "redact_argv", "redact_json", "redact_text"]

REDACTED = "[redacted]"

_ALLOWED_NAMES = frozenset(
    """
    CUDA_VISIBLE_DEVICES CUDA_LAUNCH_BLOCKING CUDA_DEVICE_ORDER CUBLAS_WORKSPACE_CONFIG NVIDIA_VISIBLE_DEVICES
    HIP_VISIBLE_DEVICES ROCR_VISIBLE_DEVICES PYTORCH_CUDA_ALLOC_CONF PYTORCH_ENABLE_MPS_FALLBACK XLA_FLAGS
    TF_DETERMINISTIC_OPS TF_CUDNN_DETERMINISTIC TF_ENABLE_ONEDNN_OPTS TOKENIZERS_PARALLELISM
    OMP_NUM_THREADS MKL_NUM_THREADS OPENBLAS_NUM_THREADS NUMEXPR_NUM_THREADS VECLIB_MAXIMUM_THREADS BLIS_NUM_THREADS
    OMP_PROC_BIND KMP_AFFINITY MKL_CBWR LOKY_MAX_CPU_COUNT POLARS_MAX_THREADS RAYON_NUM_THREADS
    PYTHONHASHSEED PYTHONOPTIMIZE PYTHONUTF8 PYTHONIOENCODING PYTHONNOUSERSITE
    WORLD_SIZE RANK LOCAL_RANK LOCAL_WORLD_SIZE NODE_RANK SLURM_JOB_ID SLURM_NTASKS SLURM_NNODES SLURM_PROCID
    LANG LC_ALL LC_CTYPE LC_NUMERIC TZ CONDA_DEFAULT_ENV VIRTUAL_ENV
    """.split()  # noqa: SIM905 - a list of 48 quoted strings is harder to read
)
"""Variables that change numbers, threads, devices, randomness or text, and whose values are no secrets."""

_WORDS = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")
_SECRET_WORDS = {"password", "passwd", "pwd", "passphrase", "secret", "secrets", "token", "apikey", "credential"}
_SECRET_WORDS |= {"credentials", "pat", "bearer", "authorization", "cookie", "dsn"}
_SECRET_PAIRS = {("api", "key"), ("access", "key"), ("private", "key"), ("account", "key"), ("auth", "key")}
_SECRET_PAIRS |= {("signing", "key"), ("encryption", "key"), ("connection", "string")}
_TEXT_TOKENS = {"pad", "mask", "eos", "bos", "unk", "sep", "cls", "special", "image", "start", "end", "stop", "per"}
"""Before `token`, these speak of text being cut into tokens, not of a secret."""

_USERINFO = re.compile(r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]{0,20}://)(?P<user>[^\s/@:'\"]*)(?P<password>:[^\s/@'\"]*)?@")
_QUERY = re.compile(
    r"(?i)([?&;](?:[a-z0-9_-]*(?:token|secret|password|signature|credential|api_?key|access_?key)|sig|key|auth)=)[^&#\s'\"]+"
)
_SHAPES = re.compile(
    r"\b(?:AKIA|ASIA)[0-9A-Z]{16}\b"
    r"|\bgh[pousr]_[A-Za-z0-9]{20,}|\bgithub_pat_\w{20,}|\bglpat-[\w-]{16,}"
    r"|\bhf_[A-Za-z0-9]{20,}|\bsk-[A-Za-z0-9_-]{20,}|\bxox[abprs]-[\w-]{10,}|\bpypi-[\w-]{40,}|\bdckr_pat_[\w-]{20,}"
    r"|\bAIza[\w-]{35}|\bya29\.[\w-]{20,}|\beyJ[\w-]{10,}\.[\w-]{10,}\.[\w-]*"
    r"|-----BEGIN [A-Z ]*PRIVATE KEY-----(?:.|\n)*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)"
)
_SCHEMES = re.compile(r"(?i)\b(bearer|basic)(\s+)[A-Za-z0-9+/=._~-]{8,}")
_ASSIGNED = re.compile(
    r"(?i)((?:password|passwd|passphrase|secret(?:_?key)?|api_?key|access_?key|private_?key|auth_?token|access_?token)"
    r"[\"']?\s*[:=]\s*)([\"'])[^\"'\n]{6,}\2"
)

_SECRET_FILE = re.compile(
    r"(?i)(?:^|/)(?:\.env(?:\..*)?|\.?netrc|_netrc|\.pgpass|\.pypirc|pip\.conf|\.npmrc|credentials(?:\..*)?|secrets?(?:\..*)?"
    r"|id_(?:rsa|dsa|ecdsa|ed25519)|.*\.(?:pem|key|p12|pfx|keystore|jks|kdbx)|service[_-]account.*\.json)\Z"
)


def redact_text(text: str) -> str:
    """The text without userinfo in URLs, tokens in queries, keys of known shapes, and passwords assigned in it."""
    text = _USERINFO.sub(_userinfo, text)
    text = _QUERY.sub(rf"\g<1>{REDACTED}", text)
    text = _SHAPES.sub(REDACTED, text)
    text = _SCHEMES.sub(rf"\g<1>\g<2>{REDACTED}", text)
    return _ASSIGNED.sub(rf"\g<1>\g<2>{REDACTED}\g<2>", text)


def _userinfo(match: re.Match[str]) -> str:
    # Over ssh a bare user name (`git`) says which account; elsewhere a bare user name is often the token itself.
    if "ssh" in match["scheme"] and not match["password"]:
        return match[0]
    return f"{match['scheme']}{REDACTED}@"


def redact_argv(argv: Sequence[str]) -> tuple[str, ...]:
    """The arguments with the values of secret-looking options, and secrets of known shapes, redacted."""
    found = []
    value_follows = False
    for word in argv:
        name, _, value = word.partition("=")
        if value_follows and not word.startswith("-"):
            found.append(REDACTED)
            value_follows = False
        elif value and _secret_name(name):
            found.append(f"{name}={REDACTED}")
            value_follows = False
        else:
            value_follows = word.startswith("-") and "=" not in word and _secret_name(word)
            found.append(redact_text(word))
    return tuple(found)


def redact_json(value: Json) -> Json:
    """A JSON value with every text in it redacted, and the values of secret-looking keys."""
    if isinstance(value, str):
        return redact_text(value)
    if isinstance(value, Mapping):
        return {
            key: REDACTED if isinstance(item, str) and _secret_name(str(key)) else redact_json(item)
            for key, item in value.items()
        }
    if isinstance(value, (list, tuple)):
        return [redact_json(item) for item in value]
    return value


def allowed_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """The variables that are captured at all: an allow-list, so that a secret with a new name stays out."""
    return {name: redact_text(environment[name]) for name in sorted(_ALLOWED_NAMES & environment.keys())}


def may_hold_secrets(path: str) -> bool:
    """Whether a file's name says that it holds secrets, so that its content is never read."""
    return _SECRET_FILE.search(path.replace("\\", "/")) is not None


def _secret_name(name: str) -> bool:
    words = [word.lower() for word in _WORDS.findall(name)]
    for before, word in zip(["", *words], words, strict=False):
        if (before, word) in _SECRET_PAIRS:
            return True
        if word in _SECRET_WORDS and not (word == "token" and before in _TEXT_TOKENS):
            return True
    return False
