"""A directory with everything that a file system can hold, and what is seen of one."""

import hashlib
import os
import random
import socket
import stat


def make_odd_tree(root):
    """Make one below *root*, which is there; as root with devices."""
    top = os.fsencode(root)

    def at(name):
        return os.path.join(top, name)

    os.mkdir(at(b"directory"), 0o750)
    os.mkdir(at(b"empty"))
    os.mkdir(at(b"sticky"), 0o777)
    os.chmod(at(b"sticky"), 0o1777)
    files = {
        b"plain": b"some text\n",
        b"empty file": b"",
        b'quotes" and \\ and \n': b"1",
        b"<html> & more": b"2",
        b"\xff\xfe no text": b"3",
        "gr\u00fc\u00dfe \u2028 \u00a0 \U0001f600".encode(): b"4",
        b"directory/large": random.Random(1).randbytes(4 << 20),  # noqa: S311 - no secret
        b"directory/same": b"some text\n",
        b"directory/hole": bytes(9 << 20) + b"end",
    }
    for name, content in files.items():
        with open(at(name), "wb") as file:
            file.write(content)
    os.chmod(at(b"plain"), 0o4755)
    os.link(at(b"plain"), at(b"directory/second name"))
    os.symlink(b"plain", at(b"link"))
    os.symlink(b"nowhere/\xff", at(b"broken link"))
    os.mkfifo(at(b"fifo"), 0o620)
    os.setxattr(at(b"plain"), "user.colour", b"red\xff")
    os.setxattr(at(b"directory"), "user.nothing", b"")
    if os.geteuid() == 0:
        os.mknod(at(b"null"), stat.S_IFCHR | 0o640, os.makedev(1, 3))
        os.mknod(at(b"loop"), stat.S_IFBLK | 0o600, os.makedev(7, 9))
        os.chown(at(b"directory/large"), 1234, 4321)
    os.utime(at(b"plain"), ns=(1, 1_234_567_890_123_456_789))
    os.utime(at(b"directory/large"), ns=(5, -1))
    os.utime(at(b"link"), ns=(7, 1_000_000_000_120_000_000), follow_symlinks=False)
    os.utime(at(b"directory"), ns=(9, 987_654_321_000_000_000))
    with socket.socket(socket.AF_UNIX) as bound:
        bound.bind(at(b"socket"))


def seen(root):
    """What is there by path: kind, mode, owners, time, content, target, attributes.

    Sockets apart; second names of a file with the first one.
    """
    top = os.fsencode(root)
    found, names = {}, {}
    for directory, below, files in os.walk(top):
        for name in sorted(below + files):
            path = os.path.join(directory, name)
            status = os.lstat(path)
            if stat.S_ISSOCK(status.st_mode):
                continue
            first = names.setdefault(status.st_ino, path)
            found[os.path.relpath(path, top)] = (
                oct(status.st_mode),
                status.st_uid,
                status.st_gid,
                status.st_mtime_ns,
                status.st_rdev,
                content_of(path, status),
                os.path.relpath(first, top) if status.st_nlink > 1 else b"",
                attributes_of(path),
            )
    return found


def content_of(path, status):
    """A digest of a file, the target of a link."""
    if stat.S_ISLNK(status.st_mode):
        return os.readlink(path)
    if stat.S_ISREG(status.st_mode):
        with open(path, "rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    return ""


def attributes_of(path):
    """The extended attributes of a user."""
    return {
        name: os.getxattr(path, name, follow_symlinks=False)
        for name in os.listxattr(path, follow_symlinks=False)
        if name.startswith("user.")
    }
