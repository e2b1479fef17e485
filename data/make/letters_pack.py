"""Pack the letters: an archive with the same bytes on every run, the held-out tensors, the licences, the checksums."""

from __future__ import annotations

import gzip
import hashlib
import io
import re
import tarfile
from pathlib import Path

import torch
from safetensors.torch import save

SUMS = "SHA256SUMS"
COPYRIGHT = re.compile(r"copyright|©|\(c\)", re.IGNORECASE)


def tar_gz(files: dict[str, bytes]) -> bytes:
    """A .tar.gz of these files, sorted, without times, owners or folder entries."""
    plain = io.BytesIO()
    with tarfile.open(fileobj=plain, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for path in sorted(files):
            entry = tarfile.TarInfo(path)
            entry.size, entry.mode = len(files[path]), 0o644
            archive.addfile(entry, io.BytesIO(files[path]))
    packed = io.BytesIO()
    with gzip.GzipFile(fileobj=packed, mode="wb", filename="", compresslevel=9, mtime=0) as stream:
        stream.write(plain.getvalue())
    return packed.getvalue()


def held_out(rows: list[tuple[bytes, int, int]]) -> bytes:
    """Images (N, 28, 28) uint8, labels (N,) int64 and families (N,) int64 as safetensors."""
    images = torch.stack([torch.frombuffer(bytearray(pixels), dtype=torch.uint8).view(28, 28) for pixels, _, _ in rows])
    labels, families = (torch.tensor([row[k] for row in rows]) for k in (1, 2))
    return save({"images": images, "labels": labels, "families": families})


def licences(rows: list[dict[str, str]], folder: Path) -> str:
    """What each font package is, who made it and under which licence; the text of the commonest licence at the end."""
    text = [HEAD]
    for package in sorted({row["package"] for row in rows}):
        of_it = [row for row in rows if row["package"] == package]
        text.append(f"{package} {of_it[0]['version']}: {of_it[0]['licence']}")
        text += [f"    {line}" for line in holders(folder / "usr/share/doc" / package / "copyright")]
        text += [f"    - {Path(row['file']).name}" for row in of_it]
    ofl = folder / "usr/share/doc/fonts-ecolier-court/copyright"
    whole = ofl.read_text("utf-8", errors="replace")
    start = whole.index("SIL OPEN FONT LICENSE Version 1.1")
    end = whole.index("OTHER DEALINGS IN THE FONT SOFTWARE.", start)
    return "\n".join(text) + "\n\n" + "-" * 60 + "\n" + whole[start:end] + "OTHER DEALINGS IN THE FONT SOFTWARE.\n"


def holders(path: Path) -> list[str]:
    """The lines of a package's copyright file that name who holds the rights, at most five."""
    lines = (line.strip() for line in path.read_text("utf-8", errors="replace").splitlines())
    found = dict.fromkeys(line for line in lines if COPYRIGHT.search(line) and re.search(r"\b(19|20)\d\d\b", line))
    return [line[:160] for line in found][:5]


def sums(folder: Path, names: list[str]) -> None:
    """Put these files' SHA-256 into the folder's SHA256SUMS; the other lines stay."""
    listed = dict(line.split(maxsplit=1)[::-1] for line in (folder / SUMS).read_text("utf-8").splitlines())
    listed |= {name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in names}
    (folder / SUMS).write_text("".join(f"{listed[name]}  {name}\n" for name in sorted(listed)), "utf-8")


HEAD = """\
Fonts of letters.tar.gz
=======================

The images are the capital letters A to J of the fonts below, drawn at 28×28 pixels. No font is shipped. For each Debian 12
package: its version and licence, who holds the rights, and the files that were used. The full terms are in each package's
copyright file; the SIL Open Font License 1.1, under which most of the fonts stand, is at the end.
"""
