"""The commands that README, docs and the help show."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from sar2opt.cli.help import EXAMPLES

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


@dataclass(frozen=True)
class Shown:
    """A sar2opt command: what follows its name, and the file that its output goes to."""

    words: tuple[str, ...]
    into: str = ""

    def __str__(self) -> str:
        return shlex.join(self.words) + (f" > {self.into}" if self.into else "")


def blocks_of(page: Path) -> list[tuple[str, str]]:
    """Return language and text of each block of code of a page."""
    text = page.read_text(encoding="utf-8")
    return re.findall(r"^```(\w*)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


def commands(text: str) -> Iterator[Shown]:
    """Yield the sar2opt commands of lines as they are typed into a shell."""
    for line in text.replace("\\\n", " ").splitlines():
        lexer = shlex.shlex(line.removeprefix("$ "), posix=True, punctuation_chars=True)
        lexer.whitespace_split = True
        words: list[str] = []
        for word in [*lexer, "&&"]:
            if word == ">" or not set(word) <= set("&|;<>"):
                words.append(word)
                continue
            if words[:1] == ["sar2opt"]:  # the end of one command on the line
                cut = words.index(">") if ">" in words else len(words)
                yield Shown(tuple(words[1:cut]), "".join(words[cut + 1 :]))
            words = []


def commands_of(page: Path) -> list[Shown]:
    """Return the commands in the blocks of a page that are no Python."""
    return [
        one
        for language, block in blocks_of(page)
        if language != "python"
        for one in commands(block)
    ]


OF_HELP = [one for lines in EXAMPLES.values() for line in lines for one in commands(line)]
EVERY = list(dict.fromkeys([one for page in PAGES for one in commands_of(page)] + OF_HELP))
