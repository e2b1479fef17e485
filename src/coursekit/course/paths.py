"""Where the parts of a course lie: in a checkout for authors and instructors, inside the package for students."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from coursekit.errors import CourseError

_PACKAGE = Path(__file__).resolve().parents[1]


@dataclass(frozen=True)
class Course:
    """The folders of one checkout; `root` holds all of them."""

    root: Path

    @property
    def solutions(self) -> Path:
        return self.root / "solutions"

    @property
    def autograder(self) -> Path:
        return self.root / "autograder"

    @property
    def notebooks(self) -> Path:
        return self.root / "notebooks"

    @property
    def keys(self) -> Path:
        return self.root / "data" / "keys"

    @property
    def catalog(self) -> Path:
        return self.autograder / "course.toml"


def repository() -> Path | None:
    """Find the checkout: upward from the working folder, then from the package. None if there is neither."""
    for start in (Path.cwd(), _PACKAGE):
        for folder in (start, *start.parents):
            if (folder / "autograder" / "course.toml").is_file():
                return folder
    return None


def course() -> Course:
    """Give the checkout's folders. Raises: CourseError: outside a checkout."""
    root = repository()
    if root is None:
        raise CourseError(
            "This command needs the course's own checkout (a folder with autograder/course.toml); none was found from here upward.",
            "Change into the checkout and run it again.",
        )
    return Course(root)


def keys_folder() -> Path:
    """Where the visible answer keys lie: in the installed package, or in the checkout."""
    return _installed_or("_keys", Path("data") / "keys")


def notebooks_folder() -> Path:
    """Where the release notebooks lie: in the installed package, or in the checkout."""
    return _installed_or("_notebooks", Path("notebooks"))


def _installed_or(packaged: str, in_checkout: Path) -> Path:
    if (_PACKAGE / packaged).is_dir():
        return _PACKAGE / packaged
    root = repository()
    if root is None:
        raise CourseError(
            "The course's files are not installed beside the coursekit package.", "Install again: pip install ."
        )
    return root / in_checkout
