"""Erasing again what a backup that was restored has brought back."""

from __future__ import annotations

from cli import erase_files, erase_steps
from cli.common import now
from cli.erase_proof import report_file
from cli.erase_report import settle
from cli.erase_services import services_to_erase
from cli.printing import stderr
from errors import UserError
from producers.erasure_archive import Archive
from producers.erasure_plan import Plan
from settings import Settings
from stream.erasures import copied, digests_of, folder_of, missing, published


def plan_again(settings: Settings) -> Plan:
    """The plan for what is there again of all erasures that are known. Raises UserError where there was none."""
    folder = folder_of(settings)
    records = {**copied(folder), **published(settings.kafka)}
    if not records:
        raise UserError("nothing was erased here yet")
    return Archive(settings.kafka).plan_again(records.values(), digests_of(folder), now())


def resumed(settings: Settings, stored: Plan) -> Plan:
    """The plan of an erasure that was cut off, with what a backup that was restored since has brought back."""
    if missing(settings).keys() - {stored.erasure_id}:
        return stored.and_again(plan_again(settings))
    return stored


def has_come_back(settings: Settings, running: Settings) -> bool:
    """Whether an older state of the embedded broker was restored, from before an erasure. Raises Fatal and KafkaError.

    running: the settings with the broker's address. A broker elsewhere may be used by others now.
    """
    if settings.kafka.bootstrap_servers is not None:
        return False
    stored = erase_files.under_way(folder_of(settings))
    return bool(missing(running)) or (stored is not None and stored.what == "again")


def erase_again(settings: Settings) -> None:
    """Erase what has come back, and prove it, before anybody else uses the services, which are embedded.

    What the proof finds is printed, and tried again next time: consumers find nothing of it in any case. Raises
    FacestreamError.
    """
    stderr.print("an older state was restored: what was erased since is erased again", soft_wrap=True)
    folder = folder_of(settings)
    stored = erase_files.under_way(folder)
    with services_to_erase(settings) as opened:
        plan = plan_again(opened.settings) if stored is None else resumed(opened.settings, stored)
        if plan.is_empty:
            erase_steps.record_again(opened.settings, plan)
            return
        erasing, proof = erase_steps.carried_out(opened, settings, plan)
    erase_steps.finish(settings, plan, erasing, proof)
    settle(settings, plan, proof)
    found = f"the proof found {proof.count:,} traces"
    stderr.print(f"erased again: {len(plan.faces):,} faces; {found}: {report_file(folder, plan)}", soft_wrap=True)
    for line in proof.lines:
        stderr.print(line, soft_wrap=True)
