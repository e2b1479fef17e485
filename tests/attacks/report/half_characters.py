# Goes for the writer of the page: halves of characters, which JSON can say and no UTF-8 file can hold.
# Gains: a grader that fails while it writes, for this student or for the batch.
# ruff: noqa
import json
import struct
from coursekit.checks import wire
from coursekit.grading.inside.runner import Runner


def halves(self, frame):
    message, tensors = wire.unpack(frame)
    for output in message.get("outputs", ()):
        output["text"] = "\ud800 \udfff \\ud800"
    if message["op"] == "probe" and "failure" in message["observed"]:
        message["observed"]["failure"] |= {"message": "\ud83d", "line": "\udc00", "type_name": "\udbff"}
    text = json.dumps(message).encode()
    blob = frame[8 + struct.unpack("<II", frame[:8])[0]:]
    self.connection.sendall(struct.pack("<II", len(text), len(blob)) + text + blob)


Runner.reply = halves
print("\ud800")
