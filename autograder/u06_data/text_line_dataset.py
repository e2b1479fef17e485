"""The key of u06-text-line-dataset."""

import itertools

import torch
from torch.utils.data import Dataset

from coursekit.course.authoring import Key

from ._shared import EXACT, below

text_lines = Key(
    "u06-text-line-dataset",
    hints=(
        "In which unit does `file.seek` count, and how many of it does one Korean letter take?",
        "In `__init__`, open the file in mode \"rb\", walk through its lines, and keep a running sum of their lengths. In `__getitem__`, check "
        "the index, open the file again, seek, read one line, decode, drop the newline, look up each character.",
        "A near-example that reads record i of a file of records of 100 bytes: `with open(path, \"rb\") as file: file.seek(100 * i); record = "
        "file.read(100).decode(\"utf-8\")`. And `[ages.get(name, -1) for name in names]` looks up with a default.",
    ),
    cases=4,
    weights={"all": 2, "all_after_file_changed": 2},
    tolerance=EXACT,
    equivalent={
        "line 11: file.readline().decode(\"utf-8\") -> file.readline().decode()": "bytes.decode uses UTF-8 by default on every system",
    },
)
WIDE, NARROW, OTHER = "가나다라마바사아", "abcdefgh", "éñ"


@text_lines.inputs
def _(g, case):
    def word(kinds):
        pick = {"w": WIDE, "n": NARROW, "o": OTHER, " ": " ", "?": "뷁"}
        return "".join(pick[kind][below(g, len(pick[kind]))[0]] for kind in kinds)

    kinds = [["wnw", "", "nn ", "owww?n"], ["ww?o", "n", "", " nwnn", "wo"], ["nw", "w"], ["w", "nn"]][case]
    end = "" if case == 1 else "\n"
    while True:
        text, later = ["\n".join(word(line) for line in kinds) + end for _ in range(2)]
        if all(a != b for a, b in zip(text.split("\n"), later.split("\n"), strict=True) if a.strip()):
            break
    known = sorted(set(WIDE + NARROW + OTHER + " "))
    ids = (torch.randperm(len(known), generator=g) + 2).tolist()
    index = [2, -5, 2, -3][case]                       # -5: the first line from the end; the last two are out of range
    return {"text": text, "later": later, "vocab": dict(zip(known, ids, strict=True)), "index": index}


@text_lines.oracle
def _(text, later, vocab, index):
    def ids(content):
        lines = content.split("\n")
        lines = lines[:-1] if content.endswith("\n") else lines
        return [torch.tensor([vocab.get(c, 1) for c in line], dtype=torch.int64) for line in lines]

    old, new = ids(text), ids(later)
    return {"length": len(old), "sample": new[index], "all": old, "all_after_file_changed": new}


class Lines(Dataset):
    """A sound dataset whose parts can be exchanged one by one."""

    def __init__(self, path, vocab):
        self.path, self.vocab = path, vocab
        self.starts = [0]
        with open(path, "rb") as file:
            for line in file:
                self.starts.append(self.starts[-1] + self.size(line))

    def size(self, line):
        return len(line)

    def __len__(self):
        return len(self.starts) - 1

    def place(self, index):
        if not -len(self) <= index < len(self):
            raise IndexError("no such line")
        return index % len(self)

    def raw(self, start):
        with open(self.path, "rb") as file:
            file.seek(start)
            return file.readline()

    def clean(self, line):
        return line.decode("utf-8").rstrip("\n")

    def ids(self, text):
        return torch.tensor([self.vocab.get(c, 1) for c in text], dtype=torch.int64)

    def __getitem__(self, index):
        return self.ids(self.clean(self.raw(self.starts[self.place(index)])))


@text_lines.wrong("`{function}` adds up lengths in characters, and `seek` counts bytes: a Korean letter has three. The first line is right, and "
                  "then the "
                  "places fall behind. Take the length of the line before it is decoded.")
class counts_characters(Lines):
    def size(self, line):
        return len(line.decode("utf-8"))


@text_lines.wrong("`{function}` forgets the newline in each line's length, so each line begins one byte too early, with the newline of the one "
                  "before. "
                  "Measure the line as it stands in the file.")
class forgets_newlines(Lines):
    def size(self, line):
        return len(line.rstrip(b"\n"))


@text_lines.wrong("`{function}` reads the right lines, and reads them too early: after the file has changed it still gives the old text. It "
                  "keeps the data in "
                  "memory. Keep places only, and read in `__getitem__`.")
class keeps_the_text(Lines):
    def __init__(self, path, vocab):
        super().__init__(path, vocab)
        with open(path, "rb") as file:
            self.content = file.read()

    def raw(self, start):
        return self.content[start:].split(b"\n")[0]


@text_lines.wrong("`{function}` keeps its file open, and an open file cannot be sent to a worker process. Open it in `__getitem__`, and close it "
                  "again: a `with` block does.")
class keeps_the_file_open(Lines):
    def __init__(self, path, vocab):
        super().__init__(path, vocab)
        self.file = open(path, "rb")

    def raw(self, start):
        self.file.seek(start)
        return self.file.readline()


@text_lines.wrong("A loop over `{function}` gives one sample too many, an empty one: index len does not raise. The place after the last line is "
                  "the end of "
                  "the file, and there is nothing to read. Compare the index with the length first.")
class one_line_too_many(Lines):
    def place(self, index):
        return index if index >= 0 else index % len(self)


@text_lines.wrong("`for line in dataset` never ends with `{function}`: every index is taken modulo the length, so none is out of range. Raise "
                  "`IndexError` "
                  "before you wrap negative ones.")
class never_ends(Lines):
    def place(self, index):
        return index % len(self)


@text_lines.wrong("`{function}` refuses negative indices that a list would take: -1 is the last line.")
class no_negative(Lines):
    def place(self, index):
        if not 0 <= index < len(self):
            raise IndexError("no such line")
        return index


@text_lines.wrong("Samples of `{function}` end in one id too many: the newline is still part of the line.")
class keeps_newlines(Lines):
    def clean(self, line):
        return line.decode("utf-8")


@text_lines.wrong("`{function}` takes spaces away at the ends of lines. They are characters of the text; only the newline is not. What does "
                  "`strip` take if you do "
                  "not tell it?")
class strips_spaces(Lines):
    def clean(self, line):
        return line.decode("utf-8").strip()


@text_lines.wrong("`{function}` leaves out characters that the vocabulary does not know. They have an id too: 1.")
class skips_unknown(Lines):
    def ids(self, text):
        return torch.tensor([self.vocab[c] for c in text if c in self.vocab], dtype=torch.int64)


@text_lines.wrong("`{function}` raises at a character that the vocabulary does not know. Real text always has some; look them up with a default, "
                  "id 1.")
class unknown_raises(Lines):
    def ids(self, text):
        return torch.tensor([self.vocab[c] for c in text], dtype=torch.int64)


@text_lines.wrong("`{function}` gives characters that are unknown the id 0, which is kept for padding. The docstring names another.")
class unknown_is_padding(Lines):
    def ids(self, text):
        return torch.tensor([self.vocab.get(c, 0) for c in text], dtype=torch.int64)


@text_lines.wrong("The ids of `{function}` are right where there are any, but an empty line gives `float32`: `torch.tensor([])` has no numbers "
                  "to tell the dtype "
                  "from. Say it.")
class empty_is_float(Lines):
    def ids(self, text):
        return torch.tensor([self.vocab.get(c, 1) for c in text])


@text_lines.wrong("The ids of `{function}` are floats. An id is an index: an embedding accepts whole numbers only.")
class float_ids(Lines):
    def ids(self, text):
        return torch.tensor([self.vocab.get(c, 1) for c in text], dtype=torch.float32)


@text_lines.wrong("`{function}` drops empty lines, so later lines have the wrong number. An empty line is a sample of length 0.")
class drops_empty_lines(Lines):
    def __init__(self, path, vocab):
        super().__init__(path, vocab)
        self.starts = [a for a, b in itertools.pairwise(self.starts) if b - a > 1] + self.starts[-1:]


@text_lines.wrong("`{function}` looks up bytes, not characters: a Korean letter gives three ids. Decode the line before you walk through it.")
class looks_up_bytes(Lines):
    def ids(self, text):
        return torch.tensor([self.vocab.get(chr(byte), 1) for byte in text.encode("utf-8")], dtype=torch.int64)


@text_lines.wrong("`{function}` leaves out the last line. Your list of starts may hold one entry more than there are lines, or exactly one each; "
                  "which of the two does "
                  "`__len__` assume?")
class misses_the_last(Lines):
    def __len__(self):
        return len(self.starts) - 2


@text_lines.variant
class PlacesAndSizes(Dataset):
    def __init__(self, path, vocab):
        self.path, self.vocab, self.places = str(path), vocab, []
        with open(path, "rb") as file:
            while True:
                start = file.tell()
                line = file.readline()
                if not line:
                    break
                self.places.append((start, len(line)))

    def __len__(self):
        return len(self.places)

    def __getitem__(self, index):
        start, size = self.places[index]
        with open(self.path, "rb") as file:
            file.seek(start)
            line = file.read(size)
        text = (line[:-1] if line.endswith(b"\n") else line).decode()
        return torch.tensor([self.vocab[c] if c in self.vocab else 1 for c in text]).long()


@text_lines.variant
class OffsetsInATensor(Dataset):
    def __init__(self, path, vocab):
        content = path.read_bytes()
        cuts = [place + 1 for place, byte in enumerate(content) if byte == 10]
        if not content.endswith(b"\n"):
            cuts.append(len(content) + 1)
        self.cuts = torch.tensor([0, *cuts])
        self.path, self.vocab = path, vocab

    def __len__(self):
        return self.cuts.numel() - 1

    def __getitem__(self, index):
        if index < 0:
            index += len(self)
        if index < 0 or index >= len(self):
            raise IndexError(index)
        with self.path.open("rb") as file:
            file.seek(int(self.cuts[index]))
            text = str(file.read(int(self.cuts[index + 1] - self.cuts[index]) - 1), encoding="utf-8")
        return torch.LongTensor([self.vocab.get(c, 1) for c in text])
