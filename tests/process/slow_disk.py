"""A card that does not answer: ``fsync``, ``fdatasync`` and ``rename`` below a folder wait for as
long as a file is there, and ``read``, ``pread`` and ``stat`` of a journal there for as long as
another one is. Loaded into our processes before everything else (``LD_PRELOAD``), since SQLite
calls these in C. Needs a C compiler."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

SOURCE = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static void wait_while(const char *file, const char *call, const char *path) {
    const char *folder = getenv("SLOW_FOLDER");
    if (!folder || !file || strncmp(path, folder, strlen(folder)) || access(file, F_OK)) return;
    char line[PATH_MAX + 64];
    int length = snprintf(line, sizeof line, "%d %s %s\n", getpid(), call, path);
    char log[PATH_MAX];
    snprintf(log, sizeof log, "%s.log", file);
    int fd = open(log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
    if (fd >= 0) { if (write(fd, line, length) < 0) {} close(fd); }
    while (!access(file, F_OK)) usleep(5000);
}

static void wait_for_the_card(const char *call, const char *path) {
    wait_while(getenv("SLOW_FILE"), call, path);
}

static int path_of(int fd, char *path) {
    char name[64];
    snprintf(name, sizeof name, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(name, path, PATH_MAX - 1);
    if (length < 0) return 0;
    path[length] = 0;
    return 1;
}

static void wait_for_file(const char *call, int fd) {
    char path[PATH_MAX];
    if (path_of(fd, path)) wait_for_the_card(call, path);
}

static void wait_to_read(const char *call, int fd) {
    const char *file = getenv("SLOW_READS");
    char path[PATH_MAX];
    int before = errno;
    if (file && !access(file, F_OK) && path_of(fd, path) && strstr(path, "journal.sqlite"))
        wait_while(file, call, path);
    errno = before;
}

ssize_t read(int fd, void *to, size_t most) {
    wait_to_read("read", fd);
    return ((ssize_t (*)(int, void *, size_t)) dlsym(RTLD_NEXT, "read"))(fd, to, most);
}

ssize_t pread(int fd, void *to, size_t most, off_t at) {
    wait_to_read("pread", fd);
    return ((ssize_t (*)(int, void *, size_t, off_t)) dlsym(RTLD_NEXT, "pread"))(fd, to, most, at);
}

ssize_t pread64(int fd, void *to, size_t most, off64_t at) {
    wait_to_read("pread", fd);
    return ((ssize_t (*)(int, void *, size_t, off64_t)) dlsym(RTLD_NEXT, "pread64"))(
        fd, to, most, at);
}

static void wait_to_look(const char *path) {
    const char *file = getenv("SLOW_READS");
    int before = errno;
    if (file && !access(file, F_OK) && strstr(path, "journal.sqlite"))
        wait_while(file, "stat", path);
    errno = before;
}

int stat64(const char *path, struct stat64 *to) {
    wait_to_look(path);
    return ((int (*)(const char *, struct stat64 *)) dlsym(RTLD_NEXT, "stat64"))(path, to);
}

int stat(const char *path, struct stat *to) {
    wait_to_look(path);
    return ((int (*)(const char *, struct stat *)) dlsym(RTLD_NEXT, "stat"))(path, to);
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
            "SLOW_READS": str(self.reads),
        }

    @property
    def reads(self) -> Path:
        return self.file.with_name("held_reads")

    def hold(self) -> None:
        self.file.touch()

    def hold_reads(self) -> None:
        """Of a journal, and nothing else."""
        self.reads.touch()

    def release(self) -> None:
        self.file.unlink(missing_ok=True)
        self.reads.unlink(missing_ok=True)

    def waits(self) -> list[str]:
        """``pid call path`` of each call that has waited, or waits."""
        logs = [Path(f"{file}.log") for file in (self.file, self.reads)]
        found = [log.read_text(encoding="utf-8").splitlines() for log in logs if log.exists()]
        return [line for lines in found for line in lines]
