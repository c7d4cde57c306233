"""What another MLflow holds, read without MLflow and without changing anything there.

with source_of("sqlite:///mlflow.db") as source:      also a folder `mlruns`, or the URL of a server
for experiment in source.experiments(): …

records.py     the values that every source gives, and what a source promises
database.py    the SQLite file of `mlflow server --backend-store-uri sqlite:///…`
folder.py      the folder `mlruns` of clients that never had a server
server.py      a server, over its REST protocol
places.py      where files are said to be, and the files
"""

from contextlib import AbstractContextManager
from pathlib import Path

from holdfast.bridges.from_mlflow.database import DatabaseSource
from holdfast.bridges.from_mlflow.folder import FolderSource
from holdfast.bridges.from_mlflow.records import Source
from holdfast.bridges.from_mlflow.server import ServerSource
from holdfast.bridges.mlflow_line import MlflowLine
from holdfast.errors import NotFound, UsageError

__all__ = ["Source", "source_of"]

_SQLITE = "sqlite:///"
_FOLDER = "file://"


def source_of(
    uri: str, files: Path | None = None, token: str | None = None, roots: tuple[Path, ...] = ()
) -> AbstractContextManager[Source]:
    """The MLflow that `uri` names.

    Args:
        uri: the tracking URI of its clients, or the path of a file or a folder.
        files: the folder that a server's `mlflow-artifacts:` stands for, where its files are read past it.
        token: shown to a server.
        roots: further folders of this machine that files may be read from.

    Raises:
        UsageError: a kind of MLflow that is not read here.
        NotFound: there is none.
    """
    if uri.startswith(("http://", "https://")):
        return ServerSource(MlflowLine(uri, token), roots)
    if "://" in uri and not uri.startswith((_SQLITE, _FOLDER)):
        raise UsageError(
            f"an MLflow at {uri.partition('://')[0]}:// is not read from here",
            hint="Start `mlflow server` over it, and name that server's URL.",
        )
    path = Path(uri.removeprefix(_SQLITE).removeprefix(_FOLDER))
    if path.is_dir():
        return FolderSource(path, files, roots)
    if path.is_file():
        return DatabaseSource(path, files, roots)
    raise NotFound(
        f"there is no MLflow at {path}", hint="Name its SQLite file, its folder mlruns, or its server's URL."
    )
