"""nbgrader's feedback page, written faster: the same HTML, with what all students share made once per class."""

from __future__ import annotations

import functools
import re
from typing import Any, ClassVar

from jinja2 import Environment, pass_context
from jinja2.runtime import Context
from nbconvert.exporters import HTMLExporter
from nbconvert.filters.highlight import Highlight2HTML
from nbconvert.filters.widgetsdatatypefilter import WidgetsDataTypeFilter
from nbformat import NotebookNode

ALT = ' alt="No description has been provided for this image"'
FOCUS = (re.compile(r'(<div class="[^"]*\bjp-Cell-inputWrapper\b[^"]*")'), re.compile(r'(<div class="[^"]*\bjp-OutputArea-output\b[^"]*")'))


class FeedbackExporter(HTMLExporter):
    """Keeps compiled templates, rendered prose and highlighted code of one student for the next.

    nbconvert also reads the finished page into a tree, only to add two attributes and write it out again; they are put in by hand.
    """

    _environments: ClassVar[dict[Any, Environment]] = {}

    def _create_environment(self) -> Environment:
        exporter: Any = super()                         # untyped
        key = (tuple(self.template_paths), self.raw_template, self.template_extension)
        made = None if self.extra_loaders else self._environments.get(key)
        if made is None:
            made = self._environments[key] = exporter._create_environment()
        for name, value in exporter.default_filters():  # bound to this exporter
            exporter._register_filter(made, name, value)
        return made

    @pass_context
    def markdown2html(self, context: Context, source: str) -> str:
        """Render prose; what came from the course is the same for everybody."""
        if context.get("cell", {}).get("attachments"):
            return str(super().markdown2html(context, source))
        settings = (self.anchor_link_text, self.exclude_anchor_links, self.embed_images)
        return _once(("markdown", source, settings), lambda: str(HTMLExporter.markdown2html(self, context, source)))

    def _preprocess(self, nb: NotebookNode, resources: Any) -> tuple[NotebookNode, Any]:
        """Take the steps, on nbconvert's first copy: a second one, and a check of a notebook that was read as valid, are left out."""
        for step in self._preprocessors:
            nb, resources = step(nb, resources)
        return nb, resources

    def from_notebook_node(  # type: ignore[override]
        self, nb: NotebookNode, resources: dict[str, Any] | None = None, **kw: Any
    ) -> tuple[str, dict[str, Any]]:
        """Write the page."""
        me: Any = self
        language = nb.metadata.get("language_info", {})
        make: Any = Highlight2HTML
        highlight = make(pygments_lexer=language.get("pygments_lexer", language.get("name")), parent=self)

        def highlighted(source: str, language: str | None = None, metadata: Any = None) -> str:
            if metadata and metadata.get("magics_language"):
                return str(highlight(source, language, metadata))
            return _once(("code", source, language or highlight.pygments_lexer), lambda: str(highlight(source, language, metadata)))

        resources = me._init_resources(resources)
        widgets: Any = WidgetsDataTypeFilter
        me.register_filter("highlight_code", self.filters.get("highlight_code", highlighted))
        me.register_filter("filter_data_type", widgets(notebook_metadata=self._nb_metadata, parent=self, resources=resources))
        page, resources = super(HTMLExporter, me).from_notebook_node(nb, resources, **kw)
        page = re.sub(r"<img\b(?![^>]*\balt=)", f"<img{ALT}", page)
        for place in FOCUS:
            page = place.sub(r'\1 tabindex="0"', page)
        return page, resources


@functools.lru_cache(maxsize=1)
def _kept() -> dict[Any, str]:
    return {}


def _once(key: Any, make: Any) -> str:
    """Make a text once; when there are many, begin anew."""
    kept = _kept()
    if key not in kept:
        if len(kept) > 4096:
            kept.clear()
        kept[key] = make()
    return kept[key]
