# Goes for the reader of the feedback page: scripts and pictures in all that a cell can show.
# Gains: code in the browser of the instructor, who is logged in to JupyterHub; or a page that says "50 of 50".
# quick: yes
# ruff: noqa
from IPython.display import HTML, SVG, Javascript, Latex, Markdown, display

evil = "<script>alert('PWNED')</script><img src=x onerror=alert('PWNED')><a href='javascript:PWNED'>50 / 50</a>"
print(evil)
print("\x1b[31m" + evil + "\x1b]8;;javascript:PWNED\x07link\x1b]8;;\x07")
display(HTML(evil), Javascript("alert('PWNED')"), Markdown(evil), Latex("$\\href{javascript:PWNED}{x}$" + evil))
display({"text/html": evil, "application/javascript": "PWNED", "text/plain": evil, "image/svg+xml": f"<svg onload=PWNED>{evil}</svg>"}, raw=True)
import sys
print(evil, file=sys.stderr)


class Shown:
    def __repr__(self): return evil
    def _repr_html_(self): return evil
    def _repr_svg_(self): return f"<svg xmlns='http://www.w3.org/2000/svg' onload=PWNED>{evil}</svg>"


Shown()
