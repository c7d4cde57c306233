"""The composition root: the only room that names concrete adapters.

    with open_project(Settings.find(Path.cwd())) as project:
        project.registry, project.store, project.tracking

Edges (commands, HTTP, Python) come here for a `Project` and hand its members to the verbs; nothing below knows which
database or which store it works on. `ls wire`: the project, the ways to remotes,
backups, what upkeep works with, and what a server gives to others.
"""

from holdfast.wire.backup import make_backup, put_back
from holdfast.wire.project import Project, create_project, open_project, utc_now
from holdfast.wire.remotes import open_remote, open_transport
from holdfast.wire.service import Files, open_files
from holdfast.wire.upkeep import open_archiver, open_collector, open_exchange, open_named_files

__all__ = [
    "Files",
    "Project",
    "create_project",
    "make_backup",
    "open_archiver",
    "open_collector",
    "open_exchange",
    "open_files",
    "open_named_files",
    "open_project",
    "open_remote",
    "open_transport",
    "put_back",
    "utc_now",
]
