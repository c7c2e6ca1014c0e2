"""The texts of the desk, looked up by their key in the language of whoever asks. Each language has its own file."""

from __future__ import annotations

from functools import cache
from typing import Final

from web import strings_en, strings_et

_TEXTS: Final = {"en": strings_en.TEXTS, "et": strings_et.TEXTS}
_COUNTS: Final = {"en": strings_en.COUNTS, "et": strings_et.COUNTS}

LANGUAGES: Final = tuple(_TEXTS)


class Words:
    """The texts in one language."""

    def __init__(self, language: str) -> None:
        """`language` is one of LANGUAGES."""
        self.language = language
        self._texts = _TEXTS[language]
        self._counts = _COUNTS[language]

    def text(self, key: str, **fields: object) -> str:
        """The text of this key with its fields filled in. Raises KeyError for an unknown one."""
        return self._texts[key].format(**fields)

    def count(self, key: str, count: int) -> str:
        """The text of this key for a number. Raises KeyError for an unknown one."""
        one, several = self._counts[key]
        return (one if count == 1 else several).format(count=figure(count))


def figure(number: int) -> str:
    """A number for people: thousands are apart."""
    return f"{number:,}".replace(",", "\u202f")


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
    """All texts, each in every language, empty where a language lacks it: for the tests."""
    texts = {key: tuple(it.get(key, "") for it in _TEXTS.values()) for all_ in _TEXTS.values() for key in all_}
    counts = {
        key: tuple("|".join(it.get(key, ())) for it in _COUNTS.values()) for all_ in _COUNTS.values() for key in all_
    }
    return texts | counts
