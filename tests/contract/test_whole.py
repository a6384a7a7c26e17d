"""That nothing in the contract is without a test: here, or elsewhere in the project."""

import pathlib

from case import Case
from promise import CONTRACT, PROMISED, plain, sentences

PROJECT = pathlib.Path(__file__).parents[2]
# What this suite does not look at, and what does.
ELSEWHERE = {
    "lips match voices.": "tests/e2e/sync.rs",
    "Comparisons are constant-time.": "src/front/rest/auth.rs",
    "`grid`: columns by number of tiles 1 -> 1, 2-4 -> 2, 5-9 -> 3, 10-16 -> 4, 17 and more -> 5; rows = ceil(n/columns); cell = (W - (columns-1)*8)/columns by (H - (rows-1)*8)/rows,": "src/compose/layout.rs",
    "(lower if they would not all fit: every active track stays visible).": "src/compose/layout.rs",
    "a portrait camera and a screen share are shown whole on the background; the option `fit` = `contain` or `cover` forces one of them.": "src/compose/fit.rs",
    "Nothing is ever stretched.": "src/compose/fit.rs",
    "Nobody's tile moves because somebody speaks or mutes his microphone.": "tests/e2e/membership.rs",
    "30 s and 5 min, then marked failed and kept for inspection and resending.": "src/webhook/retry.rs",
    "what could be saved is saved and named.": "tests/e2e/kills.rs",
    "What the picture looks like is what LiveKit's users know (W x H the frame, integer division throughout):": "src/compose/layout.rs",
}
# LiveKit's own egress API: not there yet, and the README says so.
NOT_YET_PART = 6


class Whole(Case):
    def test_every_sentence_of_the_contract_has_a_test(self):
        quoted = [*PROMISED, *map(plain, ELSEWHERE)]
        for part, said in sentences().items():
            for sentence in said if part != NOT_YET_PART else ():
                with self.subTest(part=part):
                    covered = any(words in sentence or sentence in words for words in quoted)
                    self.assertTrue(covered, f"no test quotes: {sentence}")

    def test_what_is_tested_elsewhere_is_in_the_contract_and_has_a_place(self):
        for words, place in ELSEWHERE.items():
            self.assertIn(plain(words), CONTRACT)
            self.assertTrue((PROJECT / place).is_file(), place)
