"""All texts of the desk, in English and Estonian. A text is looked up by its key, and `{field}`s are filled in."""

from __future__ import annotations

from functools import cache
from typing import Final

LANGUAGES: Final = ("en", "et")

_TEXTS: Final[dict[str, tuple[str, str]]] = {
    # The frame
    "desk": ("The desk", "Töölaud"),
    "skip-to-content": ("Skip to the content", "Otse sisu juurde"),
    "pages": ("Pages", "Lehed"),
    "next": ("Next", "Järgmine"),
    "clusters": ("Clusters", "Rühmad"),
    "people": ("People", "Isikud"),
    "history": ("History", "Ajalugu"),
    "orphans": ("Orphans", "Orvud"),
    "search": ("Search", "Otsing"),
    "help": ("Keys", "Klahvid"),
    "close": ("Close", "Sulge"),
    "other-language": ("Eesti keeles", "In English"),
    "you-are": ("You are {name}", "Sina oled {name}"),
    "progress-done": ("all {scans} scans analysed", "kõik {scans} skanni läbi vaadatud"),
    "progress-running": ("{done} of {scans} scans analysed", "{done} skanni {scans}-st läbi vaadatud"),
    "progress-empty": ("no scans yet", "skanne veel ei ole"),
    "offline": ("The desk does not answer. It is tried again.", "Töölaud ei vasta. Proovitakse uuesti."),
    "sent-again": (
        "Not stored: the desk did not answer. Try again.",
        "Ei salvestatud: töölaud ei vastanud. Proovi uuesti.",
    ),
    "changed-here": (
        "This cluster has changed: {size} faces now.",
        "See rühm on muutunud: nüüd {size} nägu.",
    ),
    "gone-here": ("This cluster is no longer there.", "Seda rühma enam ei ole."),
    "decided-here": (
        "Somebody has decided about this face meanwhile.",
        "Keegi on vahepeal selle näo kohta otsustanud.",
    ),
    "show-it": ("Show it", "Näita"),
    "not-found": ("There is no such page", "Sellist lehte ei ole"),
    "not-found-why": (
        "What it was about is not in the archive, or not any more.",
        "Seda, mille kohta see oli, arhiivis ei ole, või enam ei ole.",
    ),
    "unavailable": ("The archive does not answer", "Arhiiv ei vasta"),
    "unavailable-why": (
        "PostgreSQL or Kafka is away. Nothing is lost; try again in a moment.",
        "PostgreSQL või Kafka on eemal. Midagi ei ole kadunud; proovi hetke pärast uuesti.",
    ),
    # Access, by web.access_texts
    "refused-title": ("The desk", "Töölaud"),
    "refused-wrong-host": ("The desk is not called by this host name.", "Töölaual ei ole sellist nime."),
    "refused-wrong-origin": ("This request came from another site.", "See päring tuli teiselt saidilt."),
    "refused-not-public": ("There is no such page.", "Sellist lehte ei ole."),
    "refused-sign-in": ("Sign in first.", "Logi enne sisse."),
    "refused-behind-a-proxy": (
        "The desk was reached through a proxy, but no way of signing in is set: see docs/access.md.",
        "Töölauani jõuti puhverserveri kaudu, kuid sisselogimist ei ole seatud: vaata docs/access.md.",
    ),
    "refused-not-by-the-proxy": (
        "The desk is reached through its proxy only, which signs people in.",
        "Töölauale pääseb ainult selle puhverserveri kaudu, mis inimesed sisse logib.",
    ),
    "refused-no-role": (
        "You may not do this. Ask whoever runs the desk for the role.",
        "Sul ei ole selleks õigust. Küsi rolli töölaua haldajalt.",
    ),
    "refused-sign-in-failed": ("Signing in did not succeed. Try again.", "Sisse logida ei õnnestunud. Proovi uuesti."),
    "refused-no-name": (
        "You were signed in, but without a name that the desk can use.",
        "Sa logisid sisse, kuid nimeta, mida töölaud saaks kasutada.",
    ),
    "refused-provider-away": (
        "The service that signs people in does not answer. Try again later.",
        "Sisselogimise teenus ei vasta. Proovi hiljem uuesti.",
    ),
    "refused-signed-out": ("You are signed out of the desk.", "Oled töölaualt välja logitud."),
    "refused-failed": (
        "Something went wrong here. The desk's log has the place.",
        "Midagi läks valesti. Koht on töölaua logis.",
    ),
    "sign-out": ("Sign out", "Logi välja"),
    # Pictures that are not there, by web.crops_cutting
    "picture-gone": ("The file of this scan is gone.", "Selle skanni faili ei ole enam."),
    "picture-changed": ("The file of this scan is another picture now.", "Selle skanni fail on nüüd teine pilt."),
    "picture-unreadable": ("This scan cannot be read.", "Seda skanni ei saa lugeda."),
    "picture-unreachable": ("The place of this scan does not answer now.", "Skanni asukoht praegu ei vasta."),
    "picture-busy": ("Too many pictures are being made. Try again.", "Liiga palju pilte on töös. Proovi uuesti."),
    "picture-unknown": ("There is no such picture.", "Sellist pilti ei ole."),
    # Next
    "who-is-this": ("Who is this?", "Kes see on?"),
    "its-scan": ("On the scan", "Skannil"),
    "its-cluster": ("Its cluster", "Selle rühm"),
    "proposals": ("Proposals", "Pakkumised"),
    "no-proposals": ("Nobody who was named looks like this.", "Keegi nimetatutest ei ole selle moodi."),
    "another-name": ("Another name", "Muu nimi"),
    "type-a-name": ("Type a name", "Kirjuta nimi"),
    "new-person": ("New person: {name}", "Uus isik: {name}"),
    "skip": ("Skip", "Jäta vahele"),
    "not-a-face": ("Not a face", "Ei ole nägu"),
    "not-sure": ("Not sure", "Pole kindel"),
    "undo": ("Undo", "Võta tagasi"),
    "settles": (
        "A name here settles {others} other faces of {size}.",
        "Nimi siin määrab veel {others} nägu {size}-st.",
    ),
    "settles-none": ("The only face here without a name.", "Ainus nimeta nägu siin."),
    "nothing-next": ("Nothing to name now", "Praegu ei ole midagi nimetada"),
    "nothing-next-why": (
        "Every cluster is settled, or was skipped. New scans appear here as they are analysed.",
        "Iga rühm on määratud või vahele jäetud. Uued skannid ilmuvad siia, kui need on läbi vaadatud.",
    ),
    "start-over": ("Show the skipped ones again", "Näita vahelejäetuid uuesti"),
    "in-cluster": ("{probability} by its cluster", "{probability} rühma järgi"),
    "looks-like": ("looks like a face of theirs (distance {distance})", "sarnaneb isiku näoga (kaugus {distance})"),
    "near-soft": ("near faces that may be theirs ({distance})", "lähedal võimalikele nägudele ({distance})"),
    "lately": ("named lately", "hiljuti nimetatud"),
    # Faces
    "face": ("Face", "Nägu"),
    "face-on": ("Face on {scan}", "Nägu skannil {scan}"),
    "face-of": ("Face of {name}", "{name}, nägu"),
    "face-of-maybe": ("Face, maybe of {name}", "Nägu, võib-olla {name}"),
    "face-unnamed": ("Face without a name", "Nimeta nägu"),
    "scan": ("Scan", "Skann"),
    "scan-alt": ("Scan {scan}", "Skann {scan}"),
    "name": ("Name", "Nimi"),
    "give-name": ("Name this face", "Nimeta see nägu"),
    "no-name": ("no name yet", "nimeta"),
    "maybe": ("maybe {name}, {probability}", "võib-olla {name}, {probability}"),
    "take-name-back": ("Remove the name", "Eemalda nimi"),
    "never": ("never {name}", "mitte kunagi {name}"),
    "cluster": ("Cluster", "Rühm"),
    "in-no-cluster": ("in no cluster", "üheski rühmas"),
    "collection": ("Collection", "Kogu"),
    "similar-faces": ("Similar faces", "Sarnased näod"),
    "distance": ("distance {distance}", "kaugus {distance}"),
    "same-person": ("Same person", "Sama isik"),
    "different-people": ("Different people", "Eri isikud"),
    "linked-with": ("one person with", "üks isik koos"),
    "separated-from": ("somebody else than", "keegi muu kui"),
    "metadata": ("What is known of the scan", "Mida skanni kohta teatakse"),
    # Cluster
    "cluster-of": ("Cluster of {size}", "Rühm, {size}"),
    "named-of": ("{named} of {size} named", "{named} {size}-st nimetatud"),
    "nobody-named": ("nobody named yet", "keegi pole veel nimetatud"),
    "select-hint": (
        "Space selects, Shift selects a range, A selects all.",
        "Tühik valib, Shift valib vahemiku, A valib kõik.",
    ),
    "selected": ("{count} selected", "{count} valitud"),
    "select-all": ("Select all", "Vali kõik"),
    "select-none": ("Select none", "Tühista valik"),
    "name-selected": ("Name the selected faces", "Nimeta valitud näod"),
    "reject-selected": ("Not {name}", "Mitte {name}"),
    "separate-selected": ("Separate from the others", "Eralda teistest"),
    "separate-hint": (
        "The selected faces become different people from the rest of the cluster.",
        "Valitud näod on eri isikud kui rühma ülejäänud näod.",
    ),
    "nearby-clusters": ("Clusters that look alike", "Sarnased rühmad"),
    "link-cluster": ("Link: one person", "Seo: üks isik"),
    "nobody-selected": ("Select faces first.", "Vali enne näod."),
    "more": ("More", "Veel"),
    "portion": ("{first} to {last} of {all}", "{first} kuni {last}, kokku {all}"),
    "earlier": ("Before", "Eelmised"),
    "later": ("After", "Järgmised"),
    # Clusters
    "filter": ("Show", "Näita"),
    "filter-unnamed": ("without a name", "nimeta"),
    "filter-all": ("all", "kõik"),
    "filter-named": ("with a name", "nimega"),
    "filter-mixed": ("with several names", "mitme nimega"),
    "order": ("Order", "Järjestus"),
    "order-largest": ("largest first", "suuremad enne"),
    "order-smallest": ("smallest first", "väiksemad enne"),
    "order-least-named": ("most unnamed first", "rohkem nimetuid enne"),
    "no-clusters": ("No such clusters.", "Selliseid rühmi ei ole."),
    "noise": ("Faces in no cluster", "Näod väljaspool rühmi"),
    # People
    "person": ("Person", "Isik"),
    "rename": ("Rename the person", "Nimeta isik ümber"),
    "rename-hint": (
        "All faces of this person get the new name. To say that one face is somebody else, name the face.",
        "Kõik selle isiku näod saavad uue nime. Kui üks nägu on keegi teine, nimeta see nägu.",
    ),
    "new-name": ("New name", "Uus nimi"),
    "authority": ("Authority file (URI)", "Normikirje (URI)"),
    "merge": ("Merge with another person", "Ühenda teise isikuga"),
    "merge-hint": (
        "Both become one person, {name}. It can be undone.",
        "Mõlemast saab üks isik, {name}. Seda saab tagasi võtta.",
    ),
    "merge-with": ("The other person", "Teine isik"),
    "remove-person": ("Remove the person", "Eemalda isik"),
    "remove-hint": (
        "Their faces have no name then. It can be undone.",
        "Tema näod jäävad siis nimeta. Seda saab tagasi võtta.",
    ),
    "hard-soft": ("{hard} named, {soft} proposed", "{hard} nimetatud, {soft} pakutud"),
    "nobody": ("Nobody was named yet.", "Kedagi ei ole veel nimetatud."),
    "is-this": ("Is this {name}?", "Kas see on {name}?"),
    "yes": ("Yes", "Jah"),
    "no": ("No", "Ei"),
    "clusters-may-be": ("Clusters that may be {name}", "{name}, võimalikud rühmad"),
    "up-to": ("up to {probability}", "kuni {probability}"),
    "their-faces": ("Faces of {name}", "{name}, näod"),
    "compare-with": ("Known faces of {name}", "{name}, teadaolevad näod"),
    "no-candidates": ("No face is left to ask about.", "Rohkem nägusid küsida ei ole."),
    "label-id": ("Label id", "Märgendi id"),
    # Scan
    "zoom": ("Zoom", "Suurendus"),
    "no-faces": ("No faces were found on it.", "Sellelt nägusid ei leitud."),
    "faces-here": ("Faces on it", "Näod sellel"),
    "not-analysed": ("Not analysed yet.", "Veel läbi vaatamata."),
    # History
    "by": ("By", "Kes"),
    "what": ("What", "Mis"),
    "when": ("When", "Millal"),
    "note": ("Note", "Märkus"),
    "undone": ("undone", "tagasi võetud"),
    "restore": ("Restore", "Taasta"),
    "no-history": ("Nothing was decided yet.", "Midagi ei ole veel otsustatud."),
    "everybody": ("everybody", "kõik"),
    "is-somebody": ("is {name}", "on {name}"),
    "has-no-name": ("has no name", "on nimeta"),
    "is-never": ("is never {name}", "ei ole kunagi {name}"),
    "is-one-with": ("are one person", "on üks isik"),
    "are-different": ("are different people", "on eri isikud"),
    "is-unsure": ("is maybe {name}: not sure", "on võib-olla {name}: pole kindel"),
    "is-not-a-face": ("is not a face", "ei ole nägu"),
    "is-renamed": ("{label_id} is called {name}", "{label_id} on nüüd {name}"),
    "are-merged": ("{other} and {name} are one person", "{other} ja {name} on üks isik"),
    "is-removed": ("{name} is nobody: removed", "{name} on eemaldatud"),
    "undoes": ("undoes: {what}", "võtab tagasi: {what}"),
    "a-decision-gone": ("a decision that is gone", "otsus, mida enam ei ole"),
    # Orphans
    "orphans-why": (
        "Decisions about faces that are not in the archive now. They are kept, and hold again when the face is back.",
        "Otsused nägude kohta, mida praegu arhiivis ei ole. Need on alles ja kehtivad jälle, kui nägu on tagasi.",
    ),
    "no-orphans": ("There are none.", "Neid ei ole."),
    "reason-replaced": ("the picture was replaced", "pilt asendati"),
    "reason-not-found": ("the latest analysis did not find it", "viimane läbivaatus seda ei leidnud"),
    "reason-unknown": ("the scan was withdrawn, or is not analysed yet", "skann võeti tagasi või on läbi vaatamata"),
    # Search
    "search-for": ("Name, scan or collection", "Nimi, skann või kogu"),
    "year": ("Year", "Aasta"),
    "nothing-found": ("Nothing found.", "Midagi ei leitud."),
    "scans": ("Scans", "Skannid"),
    "collections": ("Collections", "Kogud"),
    # Answers
    "did-named": ("Named: {name}", "Nimetatud: {name}"),
    "did-name-taken-back": ("The name is removed", "Nimi on eemaldatud"),
    "did-name-rejected": ("Not {name}", "Mitte {name}"),
    "did-not-a-face": ("Not a face", "Ei ole nägu"),
    "did-not-sure": ("Not sure: it is not asked for a while", "Pole kindel: mõnda aega ei küsita"),
    "did-renamed": ("Renamed: {name}", "Ümber nimetatud: {name}"),
    "did-merged": ("Merged: {name}", "Ühendatud: {name}"),
    "did-removed": ("Removed: {name}", "Eemaldatud: {name}"),
    "did-linked": ("Linked: one person", "Seotud: üks isik"),
    "did-separated": ("Separated: different people", "Eraldatud: eri isikud"),
    "did-undone": ("Undone: {what}", "Tagasi võetud: {what}"),
    "is-so-already": ("It is so already.", "Nii ongi."),
    "nothing-to-undo": ("Nothing to undo here.", "Siin ei ole midagi tagasi võtta."),
    "changed-meanwhile": ("Somebody decided meanwhile", "Keegi otsustas vahepeal"),
    "changed-meanwhile-why": (
        "Your page showed this face as it was before. Nothing was stored.",
        "Su leht näitas nägu nii, nagu see oli enne. Midagi ei salvestatud.",
    ),
    "yours": ("Your decision", "Sinu otsus"),
    "theirs": ("Decided meanwhile", "Vahepeal otsustatud"),
    "keep-theirs": ("Leave it as it is now", "Jäta nii, nagu nüüd on"),
    "decide-anyway": ("Decide so all the same", "Otsusta ikka nii"),
    "refused": ("This contradicts what was decided", "See on vastuolus otsustatuga"),
    "way-out": ("To decide so, undo first:", "Et nii otsustada, võta enne tagasi:"),
    "cannot": ("This cannot be stored", "Seda ei saa salvestada"),
    # Keys
    "keys-everywhere": ("Everywhere", "Igal pool"),
    "key-help": ("these keys", "need klahvid"),
    "key-undo": ("undo your last decision", "võta oma viimane otsus tagasi"),
    "key-enter": ("the first proposal", "esimene pakkumine"),
    "key-digits": ("proposals 1 to 5", "pakkumised 1 kuni 5"),
    "key-letters": ("type a name (capital letters always do)", "kirjuta nimi (suurtähed alati)"),
    "key-escape": ("leave the field", "lahku väljalt"),
    "key-arrows": ("move, in lists and grids", "liigu loendites ja ruudustikes"),
    "key-space": ("select a face (with Shift: a range)", "vali nägu (Shift: vahemik)"),
    "key-all": ("select all", "vali kõik"),
    "key-question": ("yes, no, not sure", "jah, ei, pole kindel"),
}

_COUNTS: Final[dict[str, tuple[tuple[str, str], tuple[str, str]]]] = {
    "faces": (("{count} face", "{count} faces"), ("{count} nägu", "{count} nägu")),
    "clusters": (("{count} cluster", "{count} clusters"), ("{count} rühm", "{count} rühma")),
    "people": (("{count} person", "{count} people"), ("{count} isik", "{count} isikut")),
    "scans": (("{count} scan", "{count} scans"), ("{count} skann", "{count} skanni")),
    "decided-faces": (("", " ({count} faces)"), ("", " ({count} nägu)")),
}
"""Texts with a number: those for one and for several, in each language."""


class Words:
    """The texts in one language."""

    def __init__(self, language: str) -> None:
        """`language` is one of LANGUAGES."""
        self.language = language
        self._column = LANGUAGES.index(language)

    def text(self, key: str, **fields: object) -> str:
        """The text of this key with its fields filled in. Raises KeyError for an unknown one."""
        return _TEXTS[key][self._column].format(**fields)

    def count(self, key: str, count: int) -> str:
        """The text of this key for a number. Raises KeyError for an unknown one."""
        one, several = _COUNTS[key][self._column]
        return (one if count == 1 else several).format(count=f"{count:,}".replace(",", "\u202f"))


@cache
def words(language: str) -> Words:
    """The texts in a language."""
    return Words(language)


def language_of(chosen: str | None, accepted: str) -> str:
    """The language to answer in: the one chosen, or the first of an Accept-Language header that there is."""
    if chosen in LANGUAGES:
        return str(chosen)
    offered = (part.split(";")[0].strip()[:2].lower() for part in accepted.split(","))
    return next((language for language in offered if language in LANGUAGES), LANGUAGES[0])


def all_texts() -> dict[str, tuple[str, ...]]:
    """All texts, each in every language: for the tests."""
    return {**_TEXTS, **{key: tuple("|".join(forms) for forms in both) for key, both in _COUNTS.items()}}
