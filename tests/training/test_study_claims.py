"""The ledger of claims: what a claim must say, and the lock that comes before outcomes."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from pydantic import ValidationError

from sources.errors import IntegrityError, RefusedError, SchemaError
from training.study.cells import count_tests, plan, weighted_holm
from training.study.claims import ClaimLedger, read_claims
from training.study.locks import Lock, lock_claims

DAY = "2025-06-30T21:00:00+00:00"


def always(_lock: Lock) -> bool:
    return True


def lock(
    path: Path, ledger: ClaimLedger, same: Callable[[Lock], bool] = always
) -> tuple[tuple[Lock, ...], tuple[Lock, ...]]:
    return lock_claims(path, ledger, data_digest="d" * 64, known_at=DAY, same_data=same)


def only(*ids: str, **changes: object) -> ClaimLedger:
    """Return a ledger of some built-in claims, the first of them changed."""
    full = read_claims()
    first, *rest = (full.claim(name) for name in ids)
    return ClaimLedger(claims=(first.model_copy(update=changes), *rest))


def test_the_built_in_ledger_holds_C1_to_C13_each_with_a_hash_of_its_own():
    ledger = read_claims()
    assert [claim.id for claim in ledger.claims] == [f"C{i}" for i in range(1, 14)]
    assert len({claim.digest for claim in ledger.claims}) == 13
    assert {n.said for c in ledger.claims for n in c.numbers} == {
        "380 %", "three of three", "19.5 bn USD", "40 %",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ('id = "C1"', 'id = "C1"\nlucky = 7'),  # a key that no claim has
        ("primary_days = 60", "primary_days = 61"),  # not among its horizons
        ('id = "C2"', 'id = "C1"'),  # an id twice
        ("expected_sign = 1", "expected_sign = 2"),
        ('kind = "event_return"', 'kind = "astrology"'),
    ],
)
def test_a_ledger_that_says_what_no_claim_may_say_is_refused(tmp_path, change, complaint):
    built_in = Path(__file__).parents[2] / "training/study/claims.toml"
    path = tmp_path / "claims.toml"
    path.write_text(built_in.read_text(encoding="utf-8").replace(change, complaint, 1))
    with pytest.raises(ValidationError):
        read_claims(path)


def test_a_file_of_claims_that_is_none_is_refused_by_name(tmp_path):
    with pytest.raises(RefusedError, match=r"--claims .*none\.toml: needed a TOML file"):
        read_claims(tmp_path / "none.toml")
    (tmp_path / "broken.toml").write_text("[[claims]\n")
    with pytest.raises(SchemaError, match="needed TOML"):
        read_claims(tmp_path / "broken.toml")


def test_alpha_is_dealt_half_to_the_primary_tests_and_half_to_the_variants():
    ledger = read_claims()
    cells = plan(ledger)
    assert sum(cell.weight for cell in cells) == pytest.approx(1.0)
    assert sum(cell.weight for cell in cells if cell.primary) == pytest.approx(0.5)
    assert [c.claim for c in cells if c.primary] == [claim.id for claim in ledger.claims]
    # C1 has 4 indices, 1 target and 4 horizons: 16 tests, one of them primary.
    assert count_tests(ledger.claim("C1")) == (1, 15)


def test_a_claim_that_was_changed_is_another_claim_and_both_count(tmp_path):
    path = tmp_path / "home" / "locks.jsonl"
    before = only("C1", "C2")
    mine, earlier = lock(path, before)
    assert [one.claim for one in mine] == ["C1", "C2"]
    assert earlier == ()
    assert lock(path, before)[0] == mine, "the time of the first lock stands"

    changed = only("C1", "C2", asserted=0.1)
    mine, earlier = lock(path, changed)
    assert [(one.claim, one.digest) for one in earlier] == [("C1", before.claims[0].digest)]
    # Two primary tests and one of the claim as it was: a third of one half each, not a half.
    cells = plan(changed, [(one.primary_tests, one.other_tests) for one in earlier])
    assert {cell.weight for cell in cells if cell.primary} == {0.5 / 3}
    assert lock(path, changed, same=lambda _: False)[1] == (), "other data, another count"


def test_a_line_of_the_lock_that_was_changed_or_taken_out_is_noticed(tmp_path):
    path = tmp_path / "locks.jsonl"
    lock(path, read_claims())
    whole = path.read_text().splitlines(keepends=True)
    path.write_text("".join(whole[:3] + whole[4:]))
    with pytest.raises(IntegrityError, match=r"line 4: needed prior"):
        lock(path, read_claims())
    path.write_text("".join(whole).replace('"claim": "C2"', '"claim": "C0"'))
    with pytest.raises(IntegrityError, match=r"line 3: needed prior"):
        lock(path, read_claims())


def test_a_lock_that_was_cut_short_is_written_again(tmp_path):
    path = tmp_path / "locks.jsonl"
    lock(path, only("C1", "C2"))
    whole = path.read_bytes()
    path.write_bytes(whole[:-20])
    mine, earlier = lock(path, only("C1", "C2"))
    assert [one.claim for one in mine] == ["C1", "C2"]
    assert earlier == ()
    assert len([json.loads(line) for line in path.read_text().splitlines()]) == 2


def test_holms_correction_with_weights_is_that_by_hand():
    # p over weights: 0.01 / 0.5 = 0.02, 0.02 / 0.25 = 0.08, 0.2 / 0.25 = 0.8. Steps: 0.02 x 1,
    # 0.08 x (1 - 0.5) = 0.04, 0.8 x (1 - 0.75) = 0.2.
    found = weighted_holm([0.2, 0.01, 0.02], [0.25, 0.5, 0.25])
    assert found.tolist() == pytest.approx([0.2, 0.02, 0.04])
    # The shares that earlier claims hold are never freed: 0.01 / 0.25 x 1, 0.02 / 0.25 x 0.75.
    found = weighted_holm([0.01, 0.02], [0.25, 0.25])
    assert found.tolist() == pytest.approx([0.04, 0.06])
