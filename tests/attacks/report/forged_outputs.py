# Goes for the reader: outputs are forged in the runner, with types of content that an honest runner never sends.
# Gains: HTML on the page although displays are filtered inside the sandbox.
# ruff: noqa
from coursekit.grading.inside.shell import Recorder

evil = "<script>alert('PWNED')</script>"
outputs = [
    {"output_type": "display_data", "data": {"text/html": evil, "text/plain": evil, "application/javascript": "PWNED"}, "metadata": {"isolated": evil}},
    {"output_type": "display_data", "data": {"image/png": evil, "image/svg+xml": evil}, "metadata": {}},
    {"output_type": "display_data", "data": {"image/png": "iVBORw0KGgo=\"><script>PWNED</script>"}, "metadata": {}},
    {"output_type": "stream", "name": evil, "text": evil}, {"output_type": "stream", "name": "stdout", "text": [evil]},
    {"output_type": "error", "ename": evil, "evalue": evil, "traceback": [evil, 7, None]}, {"output_type": evil}, None, 7,
    {"output_type": "execute_result", "data": {"text/plain": evil}, "metadata": {}, "execution_count": evil},
]
Recorder.finish = lambda self: outputs
