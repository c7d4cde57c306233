"""Kept verdicts as people see them: a change of what a verdict of last year looks like is seen here first."""

import pytest

from holdfast.flow.gate.rendering import Report, junit, markdown, page, text
from tests.flow.gate.exhibits import EXHIBITS, exhibit
from tests.goldens.conftest import Golden

WRITTEN = {
    "txt": lambda report: "".join(f"{line}\n" for line in text(report)),
    "md": markdown,
    "html": page,
    "xml": junit,
}


@pytest.mark.parametrize("name", EXHIBITS)
@pytest.mark.parametrize("form", WRITTEN)
def test_a_kept_verdict_looks_as_it_did(golden: Golden, name: str, form: str) -> None:
    golden(f"verdict-{name}.{form}", WRITTEN[form](Report.of(exhibit(name))).encode())
