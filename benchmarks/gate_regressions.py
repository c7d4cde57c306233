"""Deliberate regressions on three real tables: which rules stop each, and in which words.

    python benchmarks/gate_regressions.py [--json FILE]

The versions are those of `tests/regressions`: honest ones that hold production, and beside each the same work with one
thing gone wrong. Every rule that production asks by default judges them, with those keys besides that the regression's
own rule needs. Printed is the sentence of the rule that is meant for the regression, and what else did not pass. The
two that need another scikit-learn ask an index for it.
"""

import argparse
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

from holdfast.flow.gate import Outcome
from tests.regressions.regressions import REGRESSIONS, laboratory
from tests.regressions.tables import TABLES


def main() -> None:
    """Judge them all, print a table in Markdown."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path, help="write what was found here too")
    given = parser.parse_args()
    found: list[dict[str, Any]] = []
    print("| what went wrong | table | rule | it says | others that did not pass |\n|---|---|---|---|---|")
    for name, regression in REGRESSIONS.items():
        for table in regression.only:
            with (
                tempfile.TemporaryDirectory() as place,
                laboratory(TABLES[table](), Path(place) / "project") as lab,
            ):
                verdict = lab.judged(regression.make(lab), regression.policy)
            open_ones = [finding for finding in verdict.findings if finding.outcome is not Outcome.PASS]
            meant = [finding for finding in open_ones if finding.rule == regression.rule]
            said = meant[0].sentence if meant else "**it passed**"
            others = [finding.rule for finding in open_ones if finding.rule != regression.rule]
            found.append({"regression": name, "table": table, "rule": regression.rule, "says": said, "others": others})
            print(
                f"| {regression.what} | {table} | `{regression.rule}` | {said} | {', '.join(others) or 'none'} |",
                flush=True,
            )
    if given.json:
        given.json.write_text(json.dumps(found))


if __name__ == "__main__":
    main()
