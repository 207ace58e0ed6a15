"""A card that does not answer: ``fsync``, ``fdatasync`` and ``rename`` below a folder wait for as
long as a file is there. Loaded into our processes before everything else (``LD_PRELOAD``), since
SQLite calls these in C. Needs a C compiler."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

SOURCE = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void wait_for_the_card(const char *call, const char *path) {
    const char *folder = getenv("SLOW_FOLDER"), *file = getenv("SLOW_FILE");
    if (!folder || !file || strncmp(path, folder, strlen(folder)) || access(file, F_OK)) return;
    char line[PATH_MAX + 64];
    int length = snprintf(line, sizeof line, "%d %s %s\n", getpid(), call, path);
    char log[PATH_MAX];
    snprintf(log, sizeof log, "%s.log", file);
    int fd = open(log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
    if (fd >= 0) { if (write(fd, line, length) < 0) {} close(fd); }
    while (!access(file, F_OK)) usleep(5000);
}

static void wait_for_file(const char *call, int of) {
    char name[64], path[PATH_MAX];
    snprintf(name, sizeof name, "/proc/self/fd/%d", of);
    ssize_t length = readlink(name, path, sizeof path - 1);
    if (length < 0) return;
    path[length] = 0;
    wait_for_the_card(call, path);
}

int fsync(int fd) {
    wait_for_file("fsync", fd);
    return ((int (*)(int)) dlsym(RTLD_NEXT, "fsync"))(fd);
}

int fdatasync(int fd) {
    wait_for_file("fdatasync", fd);
    return ((int (*)(int)) dlsym(RTLD_NEXT, "fdatasync"))(fd);
}

int rename(const char *from, const char *to) {
    wait_for_the_card("rename", to);
    return ((int (*)(const char *, const char *)) dlsym(RTLD_NEXT, "rename"))(from, to);
}
"""


@dataclass(frozen=True)
class SlowDisk:
    """``hold`` and ``release`` the card that ``folder`` is on."""

    folder: Path
    file: Path
    library: Path

    @classmethod
    def build(cls, folder: Path, aside: Path) -> SlowDisk:
        """``aside``: where the library is built, not below ``folder``. Raises
        :class:`FileNotFoundError` without a compiler."""
        library = aside / "slow_disk.so"
        subprocess.run(
            ["cc", "-shared", "-fPIC", "-O1", "-x", "c", "-", "-o", str(library), "-ldl"],
            input=SOURCE, encoding="utf-8", check=True,
        )  # fmt: skip
        return cls(folder, aside / "held", library)

    @property
    def environment(self) -> Mapping[str, str]:
        """For the processes whose card it is."""
        return {
            "LD_PRELOAD": str(self.library),
            "SLOW_FOLDER": str(self.folder),
            "SLOW_FILE": str(self.file),
        }

    def hold(self) -> None:
        self.file.touch()

    def release(self) -> None:
        self.file.unlink(missing_ok=True)

    def waits(self) -> list[str]:
        """``pid call path`` of each call that has waited, or waits."""
        log = self.file.with_name("held.log")
        return log.read_text(encoding="utf-8").splitlines() if log.exists() else []
