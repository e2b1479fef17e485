# Goes for other programs' sockets: abstract and named Unix sockets, netlink, the D-Bus, Docker, X11, the Jupyter server.
# Gains: a way to programs that run with the instructor's rights.
# ruff: noqa
import glob
import socket

for path in ["/var/run/docker.sock", "/run/dbus/system_bus_socket", "/tmp/.X11-unix/X0", *glob.glob("/run/**/*.sock", recursive=True), "\0@MARK@"]:
    try:
        link = socket.socket(socket.AF_UNIX)
        link.connect(path)
        print("connected", path)
    except OSError as error:
        print(path, type(error).__name__)
for port in (int("@PORT@"), 22, 80, 2375, 5432, 8000, 8888):
    try:
        socket.create_connection(("127.0.0.1", port), 0.3)
        print("connected", port)
    except OSError as error:
        print(port, type(error).__name__)
