"""The course as one: points, hours, maps and links agree with the catalog."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from coursekit.checks import key
from coursekit.course.catalog import Catalog, load
from coursekit.course.paths import course

ROW = re.compile(r"^(?:# )?\| \[?(u\d\d)[ \]][^|]*\|(.*)\|$", re.MULTILINE)
LINK = re.compile(r"\]\(([^)#\s]+)(?:#[^)]*)?\)")


@pytest.fixture(scope="module")
def listed() -> Catalog:
    return load(course().catalog)


def test_ten_units_500_points_and_about_26_hours(listed: Catalog) -> None:
    assert [unit.short for unit in listed.units] == [f"u{number:02}" for number in range(10)]
    assert sum(unit.points for unit in listed.units) == 500
    assert sum(unit.hours for unit in listed.units) == pytest.approx(26, abs=0.5)


def rows(text: str) -> dict[str, list[str]]:
    return {unit: [cell.strip() for cell in cells.split("|")] for unit, cells in ROW.findall(text)}


def test_the_readmes_map_is_the_catalogs(listed: Catalog, repository: Path) -> None:
    said = rows((repository / "README.md").read_text("utf-8"))
    for unit in listed.units:
        hunts = sum(exercise.kind == "hunt" for exercise in unit.exercises)
        numbers = [unit.hours, len(unit.exercises) - hunts, hunts, unit.points]
        assert said[unit.short][1:] == [f"{number:g}" for number in numbers], unit.name
    assert len(said) == len(listed.units)


def test_the_first_notebooks_map_is_the_catalogs(listed: Catalog, repository: Path) -> None:
    said = rows((repository / "solutions" / "u00_start.py").read_text("utf-8"))
    assert {unit: cells[1:] for unit, cells in said.items()} == {
        unit.short: [f"{unit.hours:g}", f"{unit.points:g}"] for unit in listed.units
    }


def test_each_unit_leads_to_the_next(listed: Catalog, repository: Path) -> None:
    for unit, following in zip(listed.units, listed.units[1:], strict=False):
        text = (repository / "solutions" / f"{unit.name}.py").read_text("utf-8")
        assert re.search(rf"Next: \[{following.short} [^]]+\]\({following.name}\.ipynb\)", text), unit.name


PAGES = ["README.md", "CONTRIBUTING.md", "data/sets/README.md"]
PAGES += sorted(f"docs/{path.name}" for path in (Path(__file__).parents[2] / "docs").glob("*.md"))


@pytest.mark.parametrize("page", PAGES)
def test_links_of_the_pages_lead_somewhere(page: str, repository: Path) -> None:
    path = repository / page
    local = [target for target in LINK.findall(path.read_text("utf-8")) if "://" not in target]
    assert [target for target in local if not (path.parent / target).exists()] == []


def test_progress_knows_every_exercise_of_every_unit(listed: Catalog) -> None:
    assert {unit: set(names) for unit, names in key.units().items()} == {
        unit.name: {exercise.id for exercise in unit.exercises} for unit in listed.units
    }
