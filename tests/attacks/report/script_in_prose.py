# Goes for the reader of the feedback page: scripts in the notebook's prose, its code and its attachments.
# Gains: code in the instructor's browser, since Markdown may hold HTML.
# hand-in: yes
# ruff: noqa
EVIL = "<script>alert('PWNED')</script>\n\n<img src=x onerror=alert('PWNED')>\n\n[50 / 50](javascript:PWNED)\n\n"


def change(notebook):
    for text in (EVIL, f"```\n{EVIL}```\n{EVIL}", f"~~~\n{EVIL}\n~~~~~\n{EVIL}", f"    {EVIL}", "$\\href{javascript:PWNED}{x}$", f"````text\n{EVIL}\n`````\n{EVIL}",
                 f"\r```\r{EVIL}", f"\u2028```\u2028{EVIL}", "<!--" + EVIL, f"![x](attachment:a.svg)\n{EVIL}"):
        notebook["cells"].append({"cell_type": "markdown", "metadata": {}, "source": text, "attachments": {"a.svg": {"image/svg+xml": EVIL}}})
        notebook["cells"].append({"cell_type": "raw", "metadata": {"format": "text/html", "raw_mimetype": "text/html"}, "source": text})
    notebook["cells"].append({"cell_type": "code", "metadata": {}, "source": f"# </pre></div>{EVIL!r}", "outputs": [], "execution_count": None})
    return notebook
