"""IPython inside the sandbox: what each cell shows is kept as nbformat outputs, in order and bounded."""

from __future__ import annotations

import base64
import codecs
import io
import sys
from typing import Any

from IPython.core.displayhook import DisplayHook
from IPython.core.displaypub import DisplayPublisher
from IPython.core.interactiveshell import InteractiveShell
from traitlets import Type
from traitlets.config import Config

KEPT = ("text/plain", "image/png", "image/jpeg")


class Recorder:
    """The outputs of one cell. Over `limit` bytes the rest is dropped, and a last line says so."""

    def __init__(self, limit: int) -> None:
        self.outputs: list[dict[str, Any]] = []
        self.limit = self.room = limit
        self.full = self.clear_next = False
        self.displays: dict[str, list[dict[str, Any]]] = {}

    def _take(self, size: int) -> bool:
        if self.clear_next:
            self.outputs, self.clear_next = [], False
        if self.full or size > self.room:
            self.full = True
            return False
        self.room -= size
        return True

    def stream(self, name: str, text: str) -> None:
        """Add text; neighbouring pieces of one stream become one output."""
        if self.full or not text:
            return
        part = text[: self.room]  # at least one byte a character: never more than the room
        if part and self._take(len(part)):
            last = self.outputs[-1] if self.outputs else {}
            if last.get("output_type") == "stream" and last["name"] == name:
                last["text"].append(part)
            else:
                self.outputs.append({"output_type": "stream", "name": name, "text": [part]})
        self.full = self.full or len(part) < len(text)

    def rich(self, kind: str, data: dict[str, Any], display_id: str | None = None, **extra: Any) -> None:
        """Add a display_data or an execute_result."""
        bundle = plain_bundle(data)
        if bundle and self._take(sum(map(len, bundle.values()))):
            output = {"output_type": kind, "data": bundle, "metadata": {}, **extra}
            self.outputs.append(output)
            if display_id:
                self.displays.setdefault(display_id, []).append(output)

    def update(self, data: dict[str, Any], display_id: str | None) -> None:
        """Replace what a display handle showed."""
        bundle = plain_bundle(data)
        if self._take(sum(map(len, bundle.values()))):
            for output in self.displays.get(display_id or "", ()):
                output["data"] = bundle

    def error(self, name: str, value: str, trace: list[str]) -> None:
        """Add an exception; a very long one loses the middle of its traceback."""
        trace = [line[:20_000] for line in (trace if len(trace) < 60 else [*trace[:20], "…", *trace[-20:]])]
        self.outputs.append(
            {"output_type": "error", "ename": name[:200], "evalue": value[:2000], "traceback": trace}
        )

    def finish(self) -> list[dict[str, Any]]:
        """Give the outputs in nbformat's form."""
        if self.full:
            self.outputs.append(
                {
                    "output_type": "stream",
                    "name": "stdout",
                    "text": [f"\n[this cell's output was cut at {self.limit} bytes]\n"],
                }
            )
        return [
            {**output, "text": "".join(output["text"])} if output["output_type"] == "stream" else output
            for output in self.outputs
        ]


def plain_bundle(data: dict[str, Any]) -> dict[str, str]:
    """Keep text and pixel images; HTML, scripts and SVG never leave."""
    return {
        kind: base64.b64encode(value).decode() if isinstance(value, bytes) else str(value)
        for kind in KEPT
        if (value := data.get(kind)) is not None
    }


class _Raw(io.RawIOBase):
    """The bottom of sys.stdout and sys.stderr: bytes go to the current cell's recorder."""

    def __init__(self, shell: Shell, name: str) -> None:
        self._shell, self._name = shell, name
        self._decoder = codecs.getincrementaldecoder("utf-8")("backslashreplace")

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        if not self._shell.recorder.full:
            self._shell.recorder.stream(self._name, self._decoder.decode(bytes(data)))
        return len(data)


class _Hook(DisplayHook):
    """Keeps the value of a cell's last expression."""

    def write_output_prompt(self) -> None:
        pass

    def write_format_data(self, format_dict: dict[str, Any], md_dict: dict[str, Any] | None = None) -> None:
        assert isinstance(self.shell, Shell)
        self.shell.recorder.rich("execute_result", format_dict, execution_count=self.prompt_count)

    def log_output(self, format_dict: dict[str, Any]) -> None:
        pass

    def finish_displayhook(self) -> None:
        self._is_active = False


class _Publisher(DisplayPublisher):
    """Keeps what `display` shows."""

    def publish(
        self,
        data: dict[str, Any],
        metadata: Any = None,
        source: Any = None,
        *,
        transient: dict[str, Any] | None = None,
        update: bool = False,
        **kwargs: Any,
    ) -> None:
        display_id = (transient or {}).get("display_id")
        if update:
            self._recorder.update(data, display_id)
        else:
            self._recorder.rich("display_data", data, display_id)

    @property
    def _recorder(self) -> Recorder:
        assert isinstance(self.shell, Shell)
        return self.shell.recorder

    def clear_output(self, wait: bool = False) -> None:
        recorder = self._recorder
        recorder.clear_next = True
        if not wait:
            recorder._take(0)


class Shell(InteractiveShell):
    """IPython as in JupyterLab, without a kernel: magics, display, inline figures, top-level await."""

    display_pub_class = Type(_Publisher)
    displayhook_class = Type(_Hook)

    def __init__(self, output_bytes: int) -> None:
        self.output_bytes = output_bytes
        self.recorder = Recorder(output_bytes)
        config = Config(
            {
                "HistoryManager": {"enabled": False, "hist_file": ":memory:"},
                "InteractiveShell": {"colors": "neutral"},
            }
        )
        super().__init__(config=config)  # type: ignore[no-untyped-call]
        InteractiveShell._instance = self  # type: ignore[assignment]  # where get_ipython() and display() look
        assert self.display_formatter is not None
        self.display_formatter.active_types = list(KEPT)
        sys.stdout = io.TextIOWrapper(_Raw(self, "stdout"), "utf-8", "backslashreplace", write_through=True)
        sys.stderr = io.TextIOWrapper(_Raw(self, "stderr"), "utf-8", "backslashreplace", write_through=True)

    def enable_gui(self, gui: Any = None) -> None:
        """There is no event loop to hook into."""

    def ask_exit(self) -> None:
        """`exit` in a cell ends nothing, as in a notebook."""

    def _showtraceback(self, etype: Any, evalue: Any, stb: Any) -> None:
        lines = [stb] if isinstance(stb, str) else [str(line) for line in stb]
        self.recorder.error(getattr(etype, "__name__", "Error"), str(evalue), lines)

    def run(self, source: str) -> tuple[bool, list[dict[str, Any]]]:
        """Run one cell. Returns: whether it ended without an exception, and its outputs."""
        self.recorder = Recorder(self.output_bytes)
        result = self.run_cell(source, store_history=True)  # type: ignore[no-untyped-call]
        return bool(result.success), self.recorder.finish()
