"""Damage to files and texts, of bytes and of what they say; the same in every run."""

from __future__ import annotations

import re

import numpy as np

#: What may stand where a number, a word or a name is expected.
STRANGE = (
    "nan", "inf", "-inf", "1e309", "-1", "0", "1e-320", "9" * 40, "9" * 5000, "0x10", "1_000",
    "True", "null", "~", "", " ", "[]", "{}", "[[[[", "*a", "&a", "!!python/name:os.system",
    "${oc.env:HOME}", "'", '"', "\\", "`touch x`", "$(touch x)", "; touch x", "../../x",
    "/etc/passwd", "\x00", "\x1b[2J", "\u202e", "é", "\ud7ff", "<script>alert(1)</script>",
    "{{7*7}}", "%s%n", "=1+1", "#", "\n", "\r", "\t", ",", ";", "A" * 300, "[" * 2000, "(" * 2000,
)  # fmt: skip
_WORD = re.compile(r"[^\s,;:=()\[\]{}\"']+")


def of_bytes(content: bytes, rng: np.random.Generator) -> bytes:
    """Bytes of a file after one to thirty strokes: flipped, overwritten, moved, cut off."""
    damaged = bytearray(content)
    for _ in range(int(rng.choice([1, 1, 1, 2, 5, 30]))):
        _stroke(damaged, rng)
    return bytes(damaged)


def _stroke(content: bytearray, rng: np.random.Generator) -> None:
    if not (size := len(content)):
        return
    here, there = (int(rng.integers(size)) for _ in range(2))
    length = int(rng.choice([1, 2, 4, 8, 64, 512]))
    match rng.integers(9):
        case 0 | 1:
            content[here] ^= 1 << int(rng.integers(8))
        case 2:
            content[here : here + length] = rng.bytes(length)
        case 3:
            content[here : here + length] = bytes(length)
        case 4:
            content[here : here + length] = b"\xff" * length
        case 5:
            content[here : here + length] = content[there : there + length]
        case 6:
            del content[here : here + length]
        case 7:
            content[here:here] = rng.bytes(length)
        case 8:
            del content[max(here, 1) :]


def of_text(text: str, rng: np.random.Generator) -> str:
    """A text in which words are replaced, lines repeated, moved or dropped, once or a few times."""
    for _ in range(int(rng.choice([1, 1, 2, 3]))):
        lines = text.split("\n")
        here, there = (int(rng.integers(len(lines))) for _ in range(2))
        words = list(_WORD.finditer(text))
        strange = str(rng.choice(STRANGE))
        match rng.integers(6):
            case 0 | 1 if words:
                word = words[int(rng.integers(len(words)))]
                text = text[: word.start()] + strange + text[word.end() :]
            case 2:
                lines.insert(here, lines[there])
            case 3:
                lines[here], lines[there] = lines[there], lines[here]
            case 4 if len(lines) > 1:
                del lines[here]
            case _:
                place = int(rng.integers(len(text) + 1))
                text = text[:place] + strange + text[place:]
                continue
        if "\n".join(lines) != text and lines != text.split("\n"):
            text = "\n".join(lines)
    return text


def of_file(content: bytes, rng: np.random.Generator) -> bytes:
    """Either kind of damage, to a file of text."""
    if rng.integers(2):
        return of_bytes(content, rng)
    return of_text(content.decode(), rng).encode("utf-8", "surrogatepass")
