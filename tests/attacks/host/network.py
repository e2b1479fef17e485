# Goes for the network: this machine's ports, its neighbours, the name service, a raw socket.
# Gains: a way out for secrets, and in for answers: somebody else, or a model, solves the exercise.
# quick: yes
# ruff: noqa
import socket
import urllib.request

for place in (("127.0.0.1", int("@PORT@")), ("192.0.2.1", 443), ("10.0.0.1", 80), ("169.254.169.254", 80)):
    try:
        socket.create_connection(place, 0.4)
        print("connected", place)
    except OSError as error:
        print(place, type(error).__name__)
for make in (lambda: socket.gethostbyname("localhost.localdomain"), lambda: socket.socket(socket.AF_PACKET, socket.SOCK_RAW),
             lambda: urllib.request.urlopen("http://127.0.0.1:@PORT@/", timeout=0.4)):
    try:
        print(make())
    except OSError as error:
        print(type(error).__name__)
