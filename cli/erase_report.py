"""What an erasure prints at its end: the proof, and its report in the data folder."""

from __future__ import annotations

from cli import erase_files
from cli.common import now
from cli.erase_proof import Proof, report, report_file, write_report
from cli.printing import print_line, print_values
from producers.erasure_plan import Plan
from settings import Settings
from stream.erasures import folder_of


def settle(settings: Settings, plan: Plan, proof: Proof) -> dict[str, object]:
    """Write the report of a proof; the erasure has ended where it has found nothing. What is in the report."""
    content = report(plan, proof, now())
    write_report(report_file(folder_of(settings), plan), content)
    if not proof.found:
        erase_files.end(folder_of(settings))
    return content


def show(settings: Settings, plan: Plan, proof: Proof) -> None:
    """Print a proof for a person."""
    print_values(
        "Proof",
        [
            ("files searched", f"{proof.files:,}"),
            ("  megabytes", f"{proof.bytes / 1e6:,.1f}"),
            *([("topics searched", f"{proof.topics:,}")] if proof.topics else []),
            *([("tables searched", f"{proof.tables:,}")] if proof.tables else []),
            ("embeddings searched for", f"{len(plan.embeddings):,}"),
            ("found", f"{proof.count:,}"),
        ],
    )
    for line in proof.lines:
        print_line(line)
    for line in proof.elsewhere:
        print_line(f"not seen from here: {line}")
    print_line(f"report: {report_file(folder_of(settings), plan)}")
