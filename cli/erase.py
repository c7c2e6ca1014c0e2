"""`facestream erase`: takes a scan, a face or a person out of everything, and proves it."""

from __future__ import annotations

from typing import Annotated

import typer

from cli import erase_files, erase_steps
from cli.common import load_settings, now
from cli.erase_again import plan_again, resumed
from cli.erase_report import settle, show
from cli.erase_services import services_to_erase
from cli.options import Data, Json
from cli.printing import print_json, print_line, print_values, stderr
from errors import UserError
from producers.erasure_archive import Archive
from producers.erasure_plan import Plan
from settings import Settings
from stream.erasures import check_restored, folder_of


def erase(
    scan: Annotated[str | None, typer.Option(metavar="SCAN_ID", help="This scan with all its faces.")] = None,
    face: Annotated[
        str | None, typer.Option(metavar="FACE_ID", help="This face: its id, or a beginning that no other has.")
    ] = None,
    person: Annotated[
        str | None, typer.Option(metavar="NAME", help="The faces with this name, and all decided about the person.")
    ] = None,
    proposed: Annotated[
        bool, typer.Option("--proposed", help="With --person: also the faces for which the name is proposed.")
    ] = False,
    again: Annotated[
        bool,
        typer.Option("--again", help="Whatever of earlier erasures is there again, as after a backup was restored."),
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would go, and change nothing.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    data: Data = None,
    json_: Json = False,
) -> None:
    """Erase a scan, a face or a person from every topic, snapshot, table and cache, and prove it.

    Pictures are the archive's own: they are never touched. Without an option, an erasure that was cut off goes on.
    Nothing else may run on the data folder meanwhile. It cannot be undone.

    Exit status: 0 if nothing was found of it afterwards, 1 if something is left or after an error.
    """
    wanted = [one for one in (scan, face, person) if one is not None] + [again] * again
    settings = load_settings(data)
    stored = erase_files.under_way(folder_of(settings))
    _check(len(wanted), stored, proposed=proposed and person is None, dry_run=dry_run)
    with services_to_erase(settings, dry_run=dry_run) as opened:
        if stored:
            plan = resumed(opened.settings, stored)
        else:
            plan = _plan(opened.settings, scan, face, person, proposed=proposed)
            _show(plan, json_)
            if again and plan.is_empty and not dry_run:
                erase_steps.record_again(opened.settings, plan)
            if plan.is_empty or dry_run:
                return
            if not yes and not typer.confirm("erase this? It cannot be undone", err=True):
                raise UserError("nothing was erased")
        erasing, proof = erase_steps.carried_out(opened, settings, plan)
    erase_steps.finish(settings, plan, erasing, proof)
    content = settle(settings, plan, proof)
    if json_:
        print_json(content)
    else:
        show(settings, plan, proof)
    if proof.found:
        raise UserError("something is left: facestream erase tries again")


def _check(wanted: int, stored: Plan | None, *, proposed: bool, dry_run: bool) -> None:
    if proposed:
        raise UserError("--proposed goes with --person")
    if wanted > 1:
        raise UserError("name one: --scan, --face, --person, or --again")
    if stored is not None and wanted:
        raise UserError("an erasure was cut off: facestream erase, without an option, goes on with it first")
    if stored is not None and dry_run:
        raise UserError("an erasure was cut off, and facestream erase goes on with it: there is nothing to try")
    if stored is None and not wanted:
        raise UserError("say what to erase: --scan, --face or --person")


def _plan(settings: Settings, scan: str | None, face: str | None, person: str | None, *, proposed: bool) -> Plan:
    if scan is face is person is None:
        return plan_again(settings)
    check_restored(settings)
    archive = Archive(settings.kafka)
    if scan is not None:
        return archive.plan_for_scan(scan, now())
    if face is not None:
        return archive.plan_for_face(face, now())
    plan = archive.plan_for_person(str(person), now(), proposed=proposed)
    if not proposed and (staying := archive.proposed(plan.label_ids) - plan.face_ids):
        stderr.print(f"faces that stay, because the name is only proposed for them: {len(staying):,} (--proposed)")
    return plan


def _show(plan: Plan, json_: bool) -> None:
    if json_:
        print_json(
            {
                "scans": list(plan.scan_ids),
                "faces": [{"face_id": face.face_id, "scan_id": face.scan_id} for face in plan.faces],
                "decisions": list(plan.decision_ids),
                "label_ids": list(plan.label_ids),
            }
        )
        return
    for face in plan.faces:
        print_line(f"face {face.face_id} of {face.scan_id or 'no scan that is there'}")
    rows = [("scans", plan.scan_ids), ("faces", plan.faces), ("decisions", plan.decision_ids)]
    print_values("To be erased", [(name, f"{len(what):,}") for name, what in rows])
    print_line("the pictures stay: they are the archive's own")
