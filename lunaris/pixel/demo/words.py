"""The words a checkpoint knows, as buttons: those of the procedural sprites by kind, the rest to search (PX-17)."""

import html
import json
import re
from collections.abc import Mapping
from pathlib import Path

import gradio as gr

from lunaris.core import ui
from lunaris.pixel.demo import common
from lunaris.pixel.demo.common import chip
from lunaris.pixel.demo.texts import TEXTS

GROUPS = ("colours", "kinds", "sizes", "styles")
MOST = 3000  # words in the search, the most frequent
SHOWN = 40  # of them as buttons at a time; page.js finds the others
SMALL = frozenset(re.findall(r"\w+", "a an the of and or in on with to for by from at is as um uma de do da e o os as no na em com para"))


@ui.friendly
def words_html(ref: str, request: gr.Request | None = None) -> str:
    """Every word that the checkpoint `ref` was trained with, each a button that adds it to the prompt."""
    return markup(words_of(ref, request))


def words_of(ref: str, request: gr.Request | None = None) -> dict[str, int]:
    """`known_words` of the checkpoint `ref`; empty when it cannot be had without fetching it."""
    try:
        folder = common.folder_of(ref, request)
        return known_words(folder) if folder else {}
    except (ValueError, OSError):  # whoever draws with it is told what is wrong with it
        return {}


def known_words(folder: Path) -> dict[str, int]:
    """Word -> how often training saw it, from the checkpoint's own file; empty when it has none."""
    file = folder / "words.json"
    return json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}


def markup(words: Mapping[str, int]) -> str:
    """Both languages' buttons; without any words those of the procedural sprites, which every checkpoint of ours has seen."""
    from lunaris.pixel.sprites import word_lists

    lists_of, blocks = word_lists(), []
    others = other_words(words, [phrase for lists in lists_of.values() for group in lists.values() for phrase in group])
    for language, lists in (("en", lists_of["en"]), ("pt-BR", lists_of["pt"])):
        parts = []
        for group in GROUPS:
            # an English adjective stands before its noun, a Portuguese one after it
            where = "before" if language == "en" and group != "kinds" else "after"
            chips = "".join(chip(text, add=where) for text in lists[group] if not words or all(word in words for word in text.split()))
            if chips:
                parts.append(f'<h4>{TEXTS.say(group, language)}</h4><div class="lunaris-chips">{chips}</div>')
        if others[language]:
            parts.append(_search(others[language], language))
        blocks.append(f'<div class="i18n" lang="{language}">{"".join(parts)}</div>')
    return f'<p class="lunaris-hint">{TEXTS.html("words_hint")}</p>{"".join(blocks)}'


def other_words(words: Mapping[str, int], listed: list[str]) -> dict[str, list[str]]:
    """What is left of a vocabulary without the listed phrases and small words, by language, the most frequent first.

    Real sprites have English captions: for Portuguese their words are translated, as `glossary` translates a prompt back.
    """
    from lunaris.pixel import glossary

    skip, lexicon = SMALL | {word for phrase in listed for word in phrase.split()}, glossary.load()
    left = [word for word in sorted(words, key=lambda word: -words[word]) if word not in skip and len(word) > 1 and word.isalpha()]
    portuguese = {word for word in left if word not in lexicon.terms and glossary.fold(word) in lexicon.english}
    english = [word for word in left if word not in portuguese]
    translated = [lexicon.terms[word].text if word in lexicon.terms else word for word in left]
    return {"en": english[:MOST], "pt-BR": list(dict.fromkeys(translated))[:MOST]}


def _search(words: list[str], language: str) -> str:
    """A field to search `words` with, and its first finds; page.js shows others as one types."""
    title, field = TEXTS.say("more_words", language, n=len(words)), TEXTS.say("search_words", language)
    chips = "".join(chip(word, add="after") for word in words[:SHOWN])
    return (
        f'<h4>{html.escape(title)}</h4><div data-words="{html.escape(json.dumps(words, ensure_ascii=False))}" data-shown="{SHOWN}">'
        f'<input type="search" class="lunaris-search" placeholder="{field}" aria-label="{field}">'
        f'<div class="lunaris-chips">{chips}</div></div>'
    )
