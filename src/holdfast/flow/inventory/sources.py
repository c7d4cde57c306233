"""What Python files say about the parts of a version, read from their syntax. Nothing is imported, nothing runs.

read_source("train.py", text)      Source(path="train.py", trains=True, sights=(Sight(...), ...))
"""

import ast
import re
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

__all__ = ["Sight", "Source", "Topic", "read_source"]


class Topic(StrEnum):
    """What a place in the code is about."""

    PREPROCESSING = "preprocessing"
    INLINE_PREPROCESSING = "inline preprocessing"
    ARGUMENTS = "arguments"
    LITERALS = "literals"
    THRESHOLD = "threshold"
    SEED = "seed"


@dataclass(frozen=True, order=True, slots=True)
class Sight:
    """A place in the code that matters.

    Attributes:
        line: where, from 1.
        topic: what it is about.
        text: what stands there, in short.
        value: the number, for a threshold.
    """

    line: int
    topic: Topic
    text: str
    value: float | None = None


@dataclass(frozen=True, slots=True)
class Source:
    """What one Python file says.

    Attributes:
        path: relative to the project.
        sights: the places that matter, in order.
        trains: whether it fits a model.
        serves: whether it answers requests.
        imports: the top-level modules it imports.
        readable: False when it is not Python of this interpreter's version.
    """

    path: str
    sights: tuple[Sight, ...] = ()
    trains: bool = False
    serves: bool = False
    imports: frozenset[str] = frozenset()
    readable: bool = True


_PREPROCESSING = re.compile(
    r"(?:^|_)(?:feat(?:ure)?s?|featuri[sz]e\w*|preproc\w*|transform\w*|clean\w*|encod\w*|normali[sz]e\w*|impute\w*|tokeni[sz]e\w*"
    r"|augment\w*|prepare_(?:data|features|inputs?)|engineer\w*|build_features)(?:_|$)"
)
_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_THRESHOLD = re.compile(r"(?i)(?:^|_)(?:threshold|thresh|thr|cutoff|cut_off)(?:_|$)")
_SEED = re.compile(r"(?:^|_)(?:seed|random_state|random_seed)$")
_SCORES = {"predict_proba", "decision_function", "sigmoid", "softmax"}
_SEEDING = {"seed", "manual_seed", "seed_everything", "set_seed", "set_random_seed", "manual_seed_all"}
_TRAINING_CALLS = {"fit", "fit_transform", "backward", "partial_fit"}
_TRAINING_MODULES = {"xgboost", "lightgbm", "catboost", "xgb", "lgb"}
_ARGUMENTS = {"add_argument", "option", "Option"}
_SERVERS = {"fastapi", "flask", "starlette", "bentoml", "litserve", "django", "aiohttp", "sanic", "falcon", "tornado"}
_SERVERS |= {"grpc", "kserve", "mlserver", "gradio", "streamlit", "ray.serve", "bottle", "quart"}
_ESTIMATORS = {"sklearn", "xgboost", "lightgbm", "catboost", "torch", "keras", "tensorflow", "imblearn", "statsmodels"}
_QUALITY = re.compile(r"acc|auc|f1|recall|precision|loss|p_?value|error|drift|(?:^|_)ratio")
"""Compared with a number, these are judgements of a model, not decisions by one."""

_TEXT_MAX = 120
"""Characters of code shown for one place: one line of a terminal."""


def read_source(path: str, text: str) -> Source:
    """What a Python file says; a file that does not parse says nothing and is marked."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # somebody else's odd escape sequence is not our reader's business
            tree = ast.parse(text)
        reader = _Reader(tree)
        sights = tuple(sorted(set(reader.read())))
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return Source(path, readable=False)
    serves = bool(reader.imports & _SERVERS)
    return Source(path, sights, reader.trains and not serves, serves, frozenset(reader.imports))


class _Reader:
    """One walk over the tree; remembers which names were imported from where, and what encloses a place."""

    def __init__(self, tree: ast.Module) -> None:
        self._tree = tree
        self.imports: set[str] = set()
        self._from: dict[str, str] = {}
        self.trains = False
        self._scores = False

    def read(self) -> Iterator[Sight]:
        for node in ast.walk(self._tree):
            self._note_import(node)
            self._scores = self._scores or (isinstance(node, ast.Call) and _last_name(node.func) in _SCORES)
        for statement in self._tree.body:
            inside = isinstance(statement, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef))
            for node in ast.walk(statement):
                yield from self._sights(node, inside=inside)

    def _note_import(self, node: ast.AST) -> None:
        if isinstance(node, ast.Import):
            for one in node.names:
                self.imports.add(one.name.partition(".")[0])
                self._from[one.asname or one.name.partition(".")[0]] = one.name.partition(".")[0]
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            top = node.module.partition(".")[0]
            self.imports |= {top, *(f"{top}.{one.name}" for one in node.names)}
            self._from.update({one.asname or one.name: top for one in node.names})

    def _sights(self, node: ast.AST, *, inside: bool) -> Iterator[Sight]:
        match node:
            case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
                if _PREPROCESSING.search(_CAMEL.sub("_", node.name).lower()) and not _is_network(node):
                    kind = "class" if isinstance(node, ast.ClassDef) else "function"
                    yield Sight(node.lineno, Topic.PREPROCESSING, f"{kind} {node.name}")
                if not isinstance(node, ast.ClassDef):
                    yield from _defaults(node)
            case ast.Call():
                yield from self._call(node, inside=inside)
            case ast.Assign(targets=[target], value=value) | ast.AnnAssign(target=target, value=ast.expr() as value):
                yield from _named_value(node.lineno, _last_name(target), value)
            case ast.Compare(ops=[ast.Gt() | ast.GtE() | ast.Lt() | ast.LtE()], comparators=[right]) if self._scores:
                number = _number(right)
                if number is not None and 0 < number < 1 and not _QUALITY.search(ast.unparse(node.left).lower()):
                    yield Sight(node.lineno, Topic.THRESHOLD, _short(node), number)

    def _call(self, node: ast.Call, *, inside: bool) -> Iterator[Sight]:
        name = _last_name(node.func)
        root = self._from.get(_first_name(node.func), "")
        if (name in _TRAINING_CALLS and isinstance(node.func, ast.Attribute)) or (
            name == "train" and (root in _TRAINING_MODULES or _first_name(node.func) == "trainer")
        ):
            self.trains = True
        if name == "fit_transform":
            yield Sight(node.lineno, Topic.PREPROCESSING if inside else Topic.INLINE_PREPROCESSING, _short(node))
        if name in _ARGUMENTS and node.args and isinstance(node.args[0], ast.Constant):
            yield Sight(node.lineno, Topic.ARGUMENTS, str(node.args[0].value)[:_TEXT_MAX])
        if name in _SEEDING and node.args:
            yield Sight(node.lineno, Topic.SEED, _short(node))
        yield from self._environment(node)
        for keyword in node.keywords:
            # `random_state=args.seed` fixes the randomness as well as a number does; only None leaves it to chance.
            computed = not isinstance(keyword.value, ast.Constant)
            if keyword.arg and computed and _SEED.search(keyword.arg.lower()):
                yield Sight(node.lineno, Topic.SEED, f"{keyword.arg} = {_short(keyword.value)}")
        literals = [keyword for keyword in node.keywords if keyword.arg and _number(keyword.value) is not None]
        for keyword in literals:
            yield from _named_value(node.lineno, keyword.arg or "", keyword.value)
        if name[:1].isupper() and root in _ESTIMATORS and literals:
            yield Sight(node.lineno, Topic.LITERALS, _short(node))

    @staticmethod
    def _environment(node: ast.Call) -> Iterator[Sight]:
        """A threshold that is read from the environment, with its default."""
        if _last_name(node.func) in {"get", "getenv"} and node.args and isinstance(node.args[0], ast.Constant):
            key = node.args[0].value
            if isinstance(key, str) and _THRESHOLD.search(key):
                default = node.args[1] if len(node.args) > 1 else None
                yield Sight(node.lineno, Topic.THRESHOLD, _short(node), _number(default) if default else None)


def _is_network(node: ast.AST) -> bool:
    """A neural network's encoder or transformer is part of the weights, whatever its name says."""
    return isinstance(node, ast.ClassDef) and any(
        _last_name(base) in {"Module", "Layer", "Model"} for base in node.bases
    )


def _defaults(node: ast.FunctionDef | ast.AsyncFunctionDef) -> Iterator[Sight]:
    """Thresholds and seeds that stand as defaults of parameters."""
    positional = [*node.args.posonlyargs, *node.args.args]
    pairs: list[tuple[ast.arg, ast.expr | None]] = list(
        zip(positional[len(positional) - len(node.args.defaults) :], node.args.defaults, strict=True)
    )
    pairs += zip(node.args.kwonlyargs, node.args.kw_defaults, strict=True)
    for argument, default in pairs:
        if default is not None:
            yield from _named_value(argument.lineno, argument.arg, default)


def _named_value(line: int, name: str, value: ast.expr) -> Iterator[Sight]:
    number = _number(value)
    if number is None:
        return
    if _THRESHOLD.search(name):
        yield Sight(line, Topic.THRESHOLD, f"{name} = {_short(value)}", number)
    if _SEED.search(name.lower()):
        yield Sight(line, Topic.SEED, f"{name} = {_short(value)}")


def _number(node: ast.expr) -> float | None:
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        inner = _number(node.operand)
        return None if inner is None else -inner
    if isinstance(node, ast.Constant) and isinstance(node.value, (int, float)) and not isinstance(node.value, bool):
        return float(node.value)
    if isinstance(node, ast.Constant) and isinstance(node.value, str) and re.fullmatch(r"\d*\.\d+", node.value):
        return float(node.value)
    if isinstance(node, ast.Call) and _last_name(node.func) == "float" and len(node.args) == 1:
        return _number(node.args[0])
    return None


def _last_name(node: ast.expr) -> str:
    if isinstance(node, ast.Attribute):
        return node.attr
    return node.id if isinstance(node, ast.Name) else ""


def _first_name(node: ast.expr) -> str:
    while isinstance(node, (ast.Attribute, ast.Call)):
        node = node.value if isinstance(node, ast.Attribute) else node.func
    return node.id if isinstance(node, ast.Name) else ""


def _short(node: ast.AST) -> str:
    text = " ".join(ast.unparse(node).split())
    return text if len(text) <= _TEXT_MAX else f"{text[: _TEXT_MAX - 1]}…"
