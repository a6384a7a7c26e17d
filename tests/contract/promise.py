"""The contract's text, and which test holds which of its sentences.

`contract.md` beside this file is what users were promised. A test quotes the words that it holds egressd to:

    @promises("stop with nothing to stop: 404, detail `No active recording for this room`.")

Contract of this module: a quotation that is not in the text is an error at import, and a test that fails says
which words are broken.
"""

import functools
import pathlib
import re

TEXT = (pathlib.Path(__file__).parent / "contract.md").read_text()
# Quotation by test.
PROMISED = {}


def plain(text):
    """Words with one space between them: lines are broken anywhere."""
    return " ".join(text.split())


CONTRACT = plain(TEXT)


def promises(*quotations):
    """Marks a test as the one that holds egressd to these words of the contract."""
    for quotation in quotations:
        if plain(quotation) not in CONTRACT:
            raise ValueError(f"not in contract.md: {quotation}")

    def mark(test):
        PROMISED.update({plain(quotation): test.__qualname__ for quotation in quotations})

        @functools.wraps(test)
        def run(self):
            try:
                test(self)
            except Exception as fault:
                for quotation in quotations:
                    fault.add_note(f'broken: "{plain(quotation)}" (contract.md)')
                raise

        return run

    return mark


def sentences():
    """Everything that the contract says, sentence by sentence and row by row, in parts by the number of their heading."""
    found = {}
    for part in re.split(r"^## ", TEXT, flags=re.M)[1:]:
        heading, body = part.split("\n", 1)
        found[int(heading.split(".")[0])] = [*rows(body), *prose(body)]
    return found


def rows(body):
    """The rows of tables, without their headings."""
    lines = [line for line in body.splitlines() if line.startswith("|")]
    ruled = [number for number, line in enumerate(lines) if line.startswith("|---")]
    headings = {number - 1 for number in ruled} | set(ruled)
    return [plain(line) for number, line in enumerate(lines) if number not in headings]


def prose(body):
    text = re.sub(r"^\|.*$", "", body, flags=re.M)
    text = re.sub(r"^- ", "\n\n", text, flags=re.M)
    for paragraph in re.split(r"\n\s*\n", text):
        yield from re.split(r"(?<=[.!?])\s+(?=[A-Z`*{])", plain(paragraph)) if paragraph.strip() else ()
