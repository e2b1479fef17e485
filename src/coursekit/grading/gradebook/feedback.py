"""nbgrader's feedback page, written faster: the same HTML, with what students share made once per class, cell by cell."""

from __future__ import annotations

import functools
import json
import re
from collections import OrderedDict
from html import escape
from typing import IO, Any, ClassVar

import nbformat
import pygments
from jinja2 import Environment, Template
from nbconvert.exporters import HTMLExporter
from nbconvert.filters.highlight import Highlight2HTML
from nbconvert.filters.widgetsdatatypefilter import WidgetsDataTypeFilter
from nbformat import NotebookNode
from pygments.formatters import HtmlFormatter
from pygments.lexers import get_lexer_by_name

MOST = 500  # pieces; a notebook of the course has about 100 cells, of which ten or so are a student's own
ALT = ' alt="No description has been provided for this image"'
FOCUS = (re.compile(r'(<div class="[^"]*\bjp-Cell-inputWrapper\b[^"]*")'), re.compile(r'(<div class="[^"]*\bjp-OutputArea-output\b[^"]*")'))
IN_PIECES = """{%- extends whole -%}
{%- block any_cell scoped -%}
{%- set piece = cell | kept_piece -%}
{%- if piece is none -%}{{ super() | keep_piece(cell) }}{%- else -%}{{ piece }}{%- endif -%}
{%- endblock -%}"""


class _Sole(NotebookNode):
    """A notebook that nobody else holds, so that a copy of it may be itself."""

    def __deepcopy__(self, memo: Any) -> _Sole:
        return self


class FeedbackExporter(HTMLExporter):
    """Keeps compiled templates and rendered cells of one student for the next.

    nbconvert also reads the finished page into a tree, only to add two attributes and write it out again; they are put in by hand.
    """

    _environments: ClassVar[dict[Any, Environment]] = {}
    _in_pieces: ClassVar[dict[Template, Template]] = {}

    def _create_environment(self) -> Environment:
        exporter: Any = super()                         # untyped
        key = (tuple(self.template_paths), self.raw_template, self.template_extension)
        made = None if self.extra_loaders else self._environments.get(key)
        if made is None:
            made = self._environments[key] = exporter._create_environment()
        for name, value in exporter.default_filters():  # bound to this exporter
            exporter._register_filter(made, name, value)
        return made

    def _preprocess(self, nb: NotebookNode, resources: Any) -> tuple[NotebookNode, Any]:
        """Take the steps, on nbconvert's first copy: a second one, and a check of a notebook that was read as valid, are left out."""
        for step in self._preprocessors:
            nb, resources = step(nb, resources)
        return nb, resources

    def _load_template(self) -> Template:
        """The template that was asked for, a cell's HTML being taken from what is kept if it is there."""
        whole: Template = super()._load_template()  # type: ignore[no-untyped-call]
        if whole not in self._in_pieces:
            self._in_pieces[whole] = whole.environment.from_string(IN_PIECES, globals={"whole": whole})
        return self._in_pieces[whole]

    def from_file(  # type: ignore[override]
        self, file_stream: IO[str], resources: dict[str, Any] | None = None, **kw: Any
    ) -> tuple[str, dict[str, Any]]:
        """Read the autograded notebook, which was valid when it was written."""
        return self.from_notebook_node(_Sole(nbformat.v4.reads(file_stream.read())), resources, **kw)  # type: ignore[no-untyped-call]

    def from_notebook_node(  # type: ignore[override]
        self, nb: NotebookNode, resources: dict[str, Any] | None = None, **kw: Any
    ) -> tuple[str, dict[str, Any]]:
        """Write the page."""
        me: Any = self
        language = nb.metadata.get("language_info", {})
        make: Any = Highlight2HTML
        highlight = make(pygments_lexer=language.get("pygments_lexer", language.get("name")), parent=self)
        settings = (str(self.config), highlight.pygments_lexer)

        def highlighted(source: str, language: str | None = None, metadata: Any = None) -> str:
            language = language or str(highlight.pygments_lexer)
            if language.startswith("ipython") or (metadata and metadata.get("magics_language")):
                return str(highlight(source, language, metadata))
            return str(pygments.highlight(source or " ", *_tools(language)))

        def key(cell: NotebookNode) -> Any:
            return "cell", settings, json.dumps(cell)

        resources = me._init_resources(resources)
        widgets: Any = WidgetsDataTypeFilter
        for name, function in {
            "highlight_code": self.filters.get("highlight_code", highlighted),
            "filter_data_type": widgets(notebook_metadata=self._nb_metadata, parent=self, resources=resources),
            "kept_piece": lambda cell: _pieces().get(key(cell)),
            "keep_piece": lambda piece, cell: _pieces().keep(key(cell), _reachable(piece)),
        }.items():
            me.register_filter(name, function)
        page, resources = super(HTMLExporter, me).from_notebook_node(nb, resources, **kw)
        return page, resources


def _reachable(piece: str) -> str:
    """A cell's HTML with a word for each picture, and in reach of the tabulator key."""
    piece = re.sub(r"<img\b(?![^>]*\balt=)", f"<img{ALT}", piece)
    for place in FOCUS:
        piece = place.sub(r'\1 tabindex="0"', piece)
    return piece


@functools.lru_cache
def _tools(language: str) -> tuple[Any, Any]:
    """What turns code into HTML; nbconvert makes both anew for each cell."""
    return get_lexer_by_name(language), HtmlFormatter(cssclass=escape(f" highlight hl-{language}"))


class _Pieces:
    """Cells' HTML, as long as it is asked for: what a class shares stays, what only one student wrote makes room."""

    def __init__(self) -> None:
        self._kept: OrderedDict[Any, str] = OrderedDict()

    def get(self, key: Any) -> str | None:
        if key in self._kept:
            self._kept.move_to_end(key)
        return self._kept.get(key)

    def keep(self, key: Any, piece: str) -> str:
        self._kept[key] = piece
        while len(self._kept) > MOST:
            self._kept.popitem(last=False)
        return piece


@functools.lru_cache(maxsize=1)
def _pieces() -> _Pieces:
    return _Pieces()
