"""`coursekit build`: source -> solution notebook, release notebook, visible key; and `--check`, which proves they are in sync."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

from coursekit.build import notebook, sync, verify
from coursekit.build.compile import Compiler
from coursekit.build.source import read
from coursekit.checks import key as keys
from coursekit.course import catalog
from coursekit.course.paths import Course, course
from coursekit.errors import CourseError

ORPHANS = "Remove what no unit builds, or list its unit in course.toml."


@dataclass(frozen=True)
class Product:
    """One file that the build writes.

    committed: it belongs in the repository, so `--check` compares it. compiler: of a key, to look at what it holds.
    """

    path: Path
    data: bytes
    committed: bool
    compiler: Compiler | None = None


def products(where: Course, unit: catalog.Unit) -> list[Product]:
    """Everything a unit's source gives. Raises: CourseError: naming what is wrong or missing in the unit."""
    _refuse(unit, verify.blanks(where, unit))
    source = read(where.solutions / f"{unit.name}.py")
    _refuse(unit, [*verify.outline(source, unit), *verify.links(where, source)])
    compiler = Compiler.of(source, where.autograder / unit.name)
    _refuse(unit, verify.completeness(compiler))
    compiled = compiler.compile_all()
    _refuse(unit, verify.distinct(compiler, compiled))
    return [
        Product(
            where.notebooks / f"{unit.name}.ipynb", notebook.text_of(notebook.release(source, unit)).encode(), True
        ),
        Product(where.keys / f"{unit.name}.key", keys.dump(unit.name, compiled, keys.machine()), True, compiler),
        Product(
            where.autograder / "source" / unit.name / f"{unit.name}.ipynb",
            notebook.text_of(notebook.solution(source, unit)).encode(),
            False,
        ),
    ]


def _refuse(unit: catalog.Unit, said: list[str]) -> None:
    if said:
        raise CourseError(
            f"`{unit.name}` is not ready to build:\n" + "\n".join(f"  {line}" for line in said),
            "Mend these, then build again.",
        )


def out_of_sync(product: Product, name: str) -> list[str]:
    """How the file on disk differs from what the source gives, in lines; none if it does not. Keys are compared by what they hold."""
    if not product.path.is_file():
        return [f"out of sync: {name}", sync.BUILD]
    old = product.path.read_bytes()
    if old == product.data:
        return []
    if product.compiler is not None:
        return sync.explain(name, product.compiler, old, product.data)
    return [f"out of sync: {name}", sync.BUILD]


def write(product: Product) -> bool:
    """Write a product if it changed; through a draft, so that a full disk leaves the old one. Returns: whether it changed.

    Raises: CourseError: if a key holds what other machines would not give; it is not written.
    """
    if not out_of_sync(product, product.path.name):
        return False
    if product.compiler is not None and (said := sync.unstable(product.compiler, keys.parse(product.data))):
        raise CourseError(
            f"{product.path.name} would hold what another processor or number of threads gives otherwise:\n"
            + "\n".join(f"  {line}" for line in said),
            "Choose inputs or a tolerance with which rounding does not show, or give the wrong answer `within=`.",
        )
    product.path.parent.mkdir(parents=True, exist_ok=True)
    draft = product.path.with_suffix(product.path.suffix + ".draft")
    try:
        draft.write_bytes(product.data)
        draft.replace(product.path)
    except OSError as error:
        draft.unlink(missing_ok=True)
        raise CourseError(
            f"{product.path.name} cannot be written: {error.strerror}.",
            "Make room or give write permission; the old file is untouched.",
        ) from None
    return True


def build(units: list[str], check: bool = False) -> int:
    """Build the named units, or all. Returns: 0, or 1 if `check` finds a committed file out of sync."""
    where = course()
    selected = catalog.load(where.catalog).select(units)
    said: list[str] = []
    for unit in selected:
        changed: list[str] = []
        for product in products(where, unit):
            name = product.path.relative_to(where.root).as_posix()
            if not check:
                changed += [name] if write(product) else []
            elif product.committed:
                said += out_of_sync(product, name)
        if not check:
            print(f"{unit.name}: {', '.join(changed) if changed else 'nothing changed'}")
    if check and not units:
        orphans = _orphans(where, {unit.name for unit in selected})
        said += [f"out of sync: {name}" for name in orphans] + [ORPHANS] * bool(orphans)
    remedies = (ORPHANS, sync.BUILD)
    for line in [*(line for line in said if line not in remedies), *(line for line in remedies if line in said)]:
        print(line, file=sys.stderr)
    if check and not said:
        print(f"{len(selected)} unit(s) complete and in sync.")
    return 1 if said else 0


def _orphans(where: Course, names: set[str]) -> list[str]:
    """Built files whose unit is gone."""
    built = [*where.notebooks.glob("*.ipynb"), *where.keys.glob("*.key")]
    return [path.relative_to(where.root).as_posix() for path in sorted(built) if path.stem not in names]
