"""The command line: parse, call, present.

    main()        the process's edge: runs a command, turns errors into exit codes
    app.py        the list of commands; each is imported when it is asked for
    options.py    options that several commands share
    output.py     the only place that prints
    exit_codes.py the table of exit codes

One file for each group of commands; a command is a few lines over one call. What it prints on standard output is data
(JSON with `--json`); what it says beside goes to standard error.
"""

import io
import sys

from holdfast.config import VERSION

__all__ = ["main"]


def main() -> None:
    """Run the command line of this process, and exit with the code of what happened."""
    arguments = sys.argv[1:]
    if arguments == ["--version"]:
        # Answered before anything is imported: scripts and prompts ask this often.
        sys.stdout.write(f"holdfast {VERSION}\n")
        return
    from holdfast.cli.app import run

    for stream in (sys.stdout, sys.stderr):
        # A name that the terminal cannot show is shown escaped: no answer is lost for a character.
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    sys.exit(run(arguments))
