"""Weights in somebody's format: how they are written into a bundle and how they become a scorer again.

A loader is small on purpose, so that a framework joins by adding one file:

    class Loader(Protocol):
        name                    what the weights part says in `loader`
        recognises(model)       is this model one of mine?
        save(model, folder)     write it, and say in which format and whether that format can run code on load
        load(files, format)     bytes that have been verified -> Scorer

`loader_for(model)` and `loader_named(name)` choose one. Nothing is imported before a model of its kind is there.
"""

from holdfast.errors import CannotPackage
from holdfast.runtime.loaders.interface import Loader, Saved, Scorer
from holdfast.runtime.loaders.mlflow import EACH, MlflowLoader
from holdfast.runtime.loaders.sklearn import SklearnLoader

__all__ = ["FORMATS", "NO_LOADER", "Loader", "Saved", "Scorer", "loader_for", "loader_named"]

_LOADERS: tuple[Loader, ...] = (SklearnLoader(), *(MlflowLoader(name) for name in EACH))

NO_LOADER = "none"
"""What weights say in `loader` when they are kept byte for byte and nothing here opens them."""

FORMATS: dict[str, tuple[str, str, bool]] = {
    ".joblib": ("joblib", "sklearn", True),
    ".pkl": ("pickle", "sklearn", True),
    ".pickle": ("pickle", "sklearn", True),
    ".pt": ("torch", NO_LOADER, True),
    ".pth": ("torch", NO_LOADER, True),
    ".h5": ("h5", NO_LOADER, True),
    ".keras": ("keras", NO_LOADER, True),
    ".safetensors": ("safetensors", NO_LOADER, False),
    ".gguf": ("gguf", NO_LOADER, False),
    ".onnx": ("onnx", NO_LOADER, False),
    ".ubj": ("ubj", NO_LOADER, False),
}
"""What a file of weights is, by its ending: format, loader, and whether loading it can run code."""


def loader_for(model: object) -> Loader:
    """The loader that recognises `model`.

    Raises:
        CannotPackage: none does.
    """
    for loader in _LOADERS:
        if loader.recognises(model):
            return loader
    kind = f"{type(model).__module__}.{type(model).__qualname__}"
    raise CannotPackage(
        f"no loader knows models of class {kind}",
        hint="Give a scikit-learn estimator, or save the model to a file and register that file.",
        model_class=kind,
    )


def loader_named(name: str) -> Loader:
    """The loader of this name.

    Raises:
        CannotPackage: there is none, so the bundle can be kept but not opened.
    """
    for loader in _LOADERS:
        if loader.name == name:
            return loader
    raise CannotPackage(
        f"this Holdfast has no loader {name!r}, so the weights can be kept but not opened",
        hint="Register the model as a scikit-learn estimator, or use a Holdfast that has this loader.",
        loader=name,
    )
