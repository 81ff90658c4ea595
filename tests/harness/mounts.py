# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The webmond authors
#
# Small file systems in memory, for root only. They are mounted where nobody but the test run sees
# them, and so are gone with it, however it ends.

import ctypes
import errno
import os
import shutil
import time

from . import Failure, Skip, procs

CLONE_NEWNS = 0x20000
_separate = []


def _separate_mounts():
    if _separate:
        return
    if ctypes.CDLL(None, use_errno=True).unshare(CLONE_NEWNS) != 0:
        raise Failure(f"unshare: {os.strerror(ctypes.get_errno())}")
    _mount("--make-rprivate", "/")
    _separate.append(True)


def _mount(*argv):
    done = procs.run(["mount", *argv])
    if done.returncode != 0:
        raise Failure(f"mount {' '.join(argv)}: {done.stderr.strip()}")


class Tmpfs:
    """A file system of so many MiB on a directory, with the owner and mode of that."""

    def __init__(self, path, mib):
        self.path = path
        self.ballast = os.path.join(path, "ballast")
        owner = os.stat(path)
        _separate_mounts()
        _mount("-t", "tmpfs", "-o", f"size={mib}m,mode={owner.st_mode & 0o777:o},"
               f"uid={owner.st_uid},gid={owner.st_gid}", "webmond-tests", path)

    def _room(self):
        state = os.statvfs(self.path)
        return state.f_bavail * state.f_frsize

    def fill(self, leave=0):
        """To the last byte, or but for so many of them; others may write meanwhile."""
        fd = os.open(self.ballast, os.O_WRONLY | os.O_CREAT, 0o644)
        size, end = 0, time.monotonic() + 10
        while (room := self._room() - leave) > 0 and time.monotonic() < end:
            try:
                os.posix_fallocate(fd, size, room)
                size += room
            except OSError as e:
                if e.errno != errno.ENOSPC:
                    raise
                # somebody was quicker, and then nothing is allocated: look again
        os.close(fd)

    def remove(self):
        """The ballast again."""
        os.unlink(self.ballast)

    def remount(self, mode):
        _mount("-o", f"remount,{mode}", self.path)

    def stop(self):
        procs.run(["umount", "--lazy", self.path])


class Quota:
    """
    A file system with room, on a directory with a quota of so many MiB, which the file system does
    not show. btrfs, because it needs nothing of the kernel but itself.
    """

    def __init__(self, path, mib):
        self.path = path
        for tool in ("mkfs.btrfs", "btrfs"):
            if shutil.which(tool) is None:
                raise Skip(f"a quota needs {tool} (Debian: btrfs-progs)")
        owner, image = os.stat(path), path + ".btrfs"
        with open(image, "wb") as f:
            f.truncate(256 << 20)
        self._run("mkfs.btrfs", "-q", image)
        _separate_mounts()
        try:
            _mount("-o", "loop", image, path)
        except Failure as e:
            raise Skip(str(e)) from None
        os.chown(path, owner.st_uid, owner.st_gid)
        os.chmod(path, owner.st_mode & 0o777)
        self._run("btrfs", "quota", "enable", path)
        self.limit(mib)

    @staticmethod
    def _run(*argv):
        done = procs.run(argv)
        if done.returncode != 0:
            raise Failure(f"{' '.join(argv)}: {done.stderr.strip()}")

    def limit(self, mib):
        self._run("btrfs", "qgroup", "limit", f"{mib}M", self.path)

    def stop(self):
        procs.run(["umount", "--lazy", self.path])
