# Goes for the walls: new namespaces, mounts, chroot, a writable remount, capabilities.
# Gains: a view of the real file system.
# ruff: noqa
import ctypes
import os

libc = ctypes.CDLL(None, use_errno=True)
for flags in (0x10000000, 0x10000000 | 0x00020000, 0x40000000, 0x20000000):
    if os.fork() == 0:
        done = libc.unshare(flags) == 0 and libc.mount(b"none", b"/mnt", b"tmpfs", 0, b"") == 0
        os._exit(1 if done else 0)
    print(flags, os.wait()[1])
print([libc.mount(b"/", b"/mnt", None, 4096, None), libc.mount(None, b"/", None, 32, None), libc.chroot(b"/proc/1/root"), libc.umount2(b"/tmp", 2),
       libc.sethostname(b"owned", 5), libc.swapoff(b"/dev/sda"), libc.syscall(175, 0, 0, b"")])
for path in ("/owned-@MARK@", "/usr/owned-@MARK@", "/proc/sys/kernel/core_pattern", "/sys/fs/cgroup/owned-@MARK@", "@OUTSIDE@/owned"):
    try:
        open(path, "w", encoding="utf-8").write("@MARK@")
        print("written", path)
    except OSError as error:
        print(path, type(error).__name__)
