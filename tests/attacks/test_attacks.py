"""No attack gains a point over what its honest part earns, reads a secret, leaves a trace, or costs another submission anything."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Any

import attack_files
import pytest
from conftest import descendants  # type: ignore[import-not-found]

from coursekit.grading.sandbox import launch, trial

if TYPE_CHECKING:
    from conftest import Range

HELD, SEEN, REMEDY = trial.try_bubblewrap()
KINDS = [kind for kind in launch.KINDS if kind != "none"]
ATTACKS = attack_files.every()
GROUPS = {group: [attack for attack in ATTACKS if attack.group == group] for group in attack_files.GROUPS}
pytestmark = pytest.mark.skipif(not HELD, reason=f"no sandbox here: {SEEN} {REMEDY}")


def runs() -> list[Any]:
    """Each attack against each kind of sandbox; the normal suite takes the quick ones against the first."""
    return [pytest.param(attack, kind, id=f"{attack.name}-{kind}",
                         marks=() if "quick" in attack.facts and kind == KINDS[0] else pytest.mark.slow)
            for kind in KINDS for attack in ATTACKS if attack.group != "report" or "hand-in" not in attack.facts]


def test_there_are_enough_and_each_says_what_it_wants() -> None:
    assert len(ATTACKS) >= 50
    assert all(GROUPS.values())
    assert [attack.name for attack in ATTACKS if not attack.about.startswith("Goes for ") or " Gains: " not in attack.about] == []
    quick = [attack for attack in ATTACKS if "quick" in attack.facts]
    assert len(quick) >= 12
    assert {attack.group for attack in quick} == set(GROUPS)


@pytest.fixture(scope="session")
def honest_scores(field_of_fire: Range) -> dict[tuple[str, ...], float]:
    """What each honest part earns when nobody cheats, computed by a run of its own."""
    import json

    parts = {attack.honest for attack in ATTACKS}
    return {part: field_of_fire.grade(json.dumps(attack_files.short(field_of_fire.maker, part)).encode(), KINDS[0])[0] for part in parts}


@pytest.mark.parametrize(("attack", "kind"), runs())
def test_it_gains_nothing_reads_nothing_and_leaves_nothing(attack: attack_files.Attack, kind: str, field_of_fire: Range,
                                                           honest_scores: dict[tuple[str, ...], float]) -> None:
    before, began = descendants(), time.monotonic()
    score, evidence = field_of_fire.grade(attack_files.submission(attack, field_of_fire.maker, field_of_fire.known), kind)
    assert score == float(attack.facts.get("score", honest_scores[attack.honest])), evidence.where
    assert evidence.outcome in attack.facts.get("outcome", "graded").split(" or "), evidence.where
    assert field_of_fire.leaks(evidence) == []
    assert time.monotonic() - began < field_of_fire.grader.limits.notebook_seconds + 30
    assert field_of_fire.traces() == []
    deadline = time.monotonic() + 3
    while (left := descendants() - before) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert left == set()


@pytest.mark.parametrize("kind", [kind if kind == KINDS[0] else pytest.param(kind, marks=pytest.mark.slow) for kind in KINDS])
def test_an_honest_submission_afterwards_earns_everything(kind: str, field_of_fire: Range) -> None:
    score, evidence = field_of_fire.grade(field_of_fire.perfect(), kind)
    assert (score, evidence.outcome) == (50.0, "graded")


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", ["host/fork_bomb", "host/memory_bomb", "host/signals", "staying_alive/threads"])
def test_an_honest_submission_beside_it_earns_everything(name: str, kind: str, field_of_fire: Range) -> None:
    [attack] = [attack for attack in ATTACKS if attack.name == name]
    data = attack_files.submission(attack, field_of_fire.maker, field_of_fire.known)
    other = threading.Thread(target=field_of_fire.grade, args=(data, kind))
    other.start()
    score, evidence = field_of_fire.grade(field_of_fire.perfect(), kind)
    other.join()
    assert (score, evidence.outcome) == (50.0, "graded"), evidence.where


@pytest.mark.parametrize("name", ["secrets/grading_seed", pytest.param("secrets/environment_and_proc", marks=pytest.mark.slow)])
def test_the_watch_would_see_a_leak(name: str, field_of_fire: Range) -> None:
    """Without a sandbox, the very same attack reads the secret: so silence above means something."""
    [attack] = [attack for attack in ATTACKS if attack.name == name]
    _, evidence = field_of_fire.grade(attack_files.submission(attack, field_of_fire.maker, field_of_fire.known), "none")
    assert field_of_fire.leaks(evidence) != []
