"""A verdict as JUnit XML, which GitLab, Jenkins and others show beside the tests of a build: a rule is a test case.

The dialect is what those read in common: testsuites, testsuite, testcase, failure, skipped (Jenkins' junit-10.xsd).
There is no third outcome in it: what could not be decided is a failure whose type says `inconclusive`. What did not
pass and keeps nobody from the stage, because somebody waived it or another rule of its group is enough, is skipped and
says so: a failure would end the build that the gate lets go on.
"""

from xml.etree import ElementTree as ET

from holdfast.flow.gate.finding import Outcome
from holdfast.flow.gate.rendering.harmless import lines, one_line
from holdfast.flow.gate.rendering.report import Report

__all__ = ["junit"]


def junit(report: Report) -> str:
    """The whole XML document."""
    skipped = sum(bool(report.let_through(finding)) for finding in report.findings)
    failures = sum(finding.outcome is not Outcome.PASS for finding in report.findings) - skipped
    counted = {"tests": str(len(report.findings)), "failures": str(failures), "errors": "0", "skipped": str(skipped)}
    suites = ET.Element("testsuites", {"name": "holdfast gate", **counted})
    suite = ET.SubElement(suites, "testsuite", {"name": one_line(report.title), **counted})
    for finding in report.findings:
        named = {"classname": one_line(f"holdfast.{report.model}"), "name": one_line(finding.rule), "time": "0"}
        case = ET.SubElement(suite, "testcase", named)
        said = one_line(finding.sentence)
        if finding.outcome is Outcome.PASS:
            ET.SubElement(case, "system-out").text = said
        elif let_through := report.let_through(finding):
            ET.SubElement(case, "skipped", {"message": one_line(f"{finding.outcome}, {let_through}")})
            ET.SubElement(case, "system-out").text = f"{finding.outcome}: {said}"
        else:
            failure = ET.SubElement(case, "failure", {"type": str(finding.outcome), "message": said})
            failure.text = "\n".join([f"{finding.outcome}: {said}", *lines(finding.hint)])
    ET.indent(suites)
    return ET.tostring(suites, encoding="unicode", xml_declaration=False).join(
        ('<?xml version="1.0" encoding="UTF-8"?>\n', "\n")
    )
