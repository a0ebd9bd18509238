"""Whom a text names by ``@``: pure, without access."""

from collections.abc import Iterable
from dataclasses import dataclass

from pbxcrm.people.models import User

SIGN = "@"
BEGINNING = 30  # words of a note in a title or a toast


def beginning(text: str) -> str:
    """The first words of a note, on one line."""
    words = text.split()
    return " ".join(words[:BEGINNING]) + (" …" if len(words) > BEGINNING else "")


@dataclass(frozen=True, slots=True)
class MentionPiece:
    """A part of a text; ``user``: whom it names, None for plain text."""

    text: str
    user: User | None = None


def pieces(text: str, people: Iterable[User]) -> list[MentionPiece]:
    """The text in parts, which together are the text. ``@`` names a person by the whole name, by the login, or by the first name
    where only one of ``people`` has it; the longest that fits counts. Inside a word (an e-mail address) it names nobody.
    """
    if SIGN not in text:
        return [MentionPiece(text)]
    keys = _keys(people)
    found: list[MentionPiece] = []
    start = at = 0
    while (at := text.find(SIGN, at)) >= 0:
        user, end = _named(text, at, keys)
        if user is None:
            at += 1
            continue
        if at > start:
            found.append(MentionPiece(text[start:at]))
        found.append(MentionPiece(text[at:end], user))
        start = at = end
    if start < len(text) or not found:
        found.append(MentionPiece(text[start:]))
    return found


def mentioned(text: str, people: Iterable[User]) -> list[User]:
    """Whom the text names, each once, in its order."""
    named = {piece.user.id: piece.user for piece in pieces(text, people) if piece.user is not None}
    return list(named.values())


def _keys(people: Iterable[User]) -> dict[str, User | None]:
    """Name in lower case → who has it; None where several have it. A login is one person's and comes first."""
    everybody = list(people)
    keys: dict[str, User | None] = {}
    for user in everybody:
        for name in {user.name.lower(), *user.name.lower().split()[:1]}:
            keys[name] = None if name in keys else user
    keys |= {user.login.lower(): user for user in everybody}
    return dict(sorted(keys.items(), key=lambda pair: -len(pair[0])))


def _named(text: str, at: int, keys: dict[str, User | None]) -> tuple[User | None, int]:
    """Who is named at the sign at ``at``, and where the name ends."""
    if at and (text[at - 1].isalnum() or text[at - 1] in "._-"):
        return None, at
    for name, user in keys.items():
        end = at + 1 + len(name)
        if text[at + 1 : end].lower() == name and not text[end : end + 1].isalnum() and text[end : end + 1] != "_":
            return user, end
    return None, at
