"""A machine that lacks something: disk, permission to write, open files, hard links, a clock that goes forward."""

import errno
import os
import resource
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from unittest import mock

from fault_injection.fault import Fault
from fault_injection.trial import Done, Trial

SAID = ("stopped", "refused", "failed alone", "equal")


def mount(*arguments: object) -> None:
    subprocess.run(["mount", *map(str, arguments)], check=True, capture_output=True)


def _is_mounted(*arguments: object) -> bool:
    try:
        mount(*arguments)
    except subprocess.CalledProcessError:
        return False
    return True


@contextmanager
def mounted(path: Path, *options: str) -> Iterator[None]:
    """Mount a small file system in memory at ``path`` for the block."""
    path.mkdir(parents=True, exist_ok=True)
    mount("-t", "tmpfs", *options, "none", path)
    try:
        yield
    finally:
        unmount(path)


def unmount(path: Path) -> None:
    """Unmount what is mounted at ``path``, one over the other."""
    while subprocess.run(["umount", "-l", path], check=False, capture_output=True).returncode == 0:
        pass


def judged(trial: Trial, done: Done) -> None:
    """Say how a sweep ended that lacked something."""
    trial.how(
        {0: "equal", 1: "failed alone" if "failed: " in done.stdout else "stopped", 2: "refused"}[done.returncode]
    )
    if done.returncode and not trial.said:
        trial.how("silent")


def full_disk(trial: Trial) -> None:
    """Fill the disk of the results at a random size; then there is space again."""
    trial.begin("new", timings=False)
    size = trial.rng.randrange(8, 200) * 1024
    with mounted(trial.place / "results", "-o", f"size={size}"):
        judged(trial, trial.ended(trial.start()))
        mount("-o", "remount,size=64m", trial.place / "results")
        trial.finish()


def read_only(trial: Trial) -> None:
    """Make the folder of the results read-only at a random moment; then it can be written again."""
    trial.begin("new")
    process = trial.start()
    trial.wait_for_records(process, trial.rng.uniform(0.01, 0.9))
    mount("--bind", trial.folder, trial.folder)
    try:
        while not _is_mounted("-o", "remount,bind,ro", trial.folder):
            # A file that was opened there meanwhile is still being written.
            trial.pause(0.005)
        done = trial.ended(process)
    finally:
        unmount(trial.folder)
    judged(trial, done)
    trial.finish()


def limited(trial: Trial, kind: int, low: int, high: int) -> None:
    """Set a resource limit of the process and its children at random; then start again without it."""
    trial.begin("new")
    judged(trial, trial.ended(trial.start(limits={kind: trial.rng.randrange(low, high)})))
    trial.finish()


def clock_back(trial: Trial) -> None:
    """Set the clock back by seconds up to years while the sweep stands still."""
    trial.begin("half")
    real, back = time.time, 10 ** trial.rng.uniform(0, 8.5)
    with mock.patch.object(time, "time", side_effect=lambda: real() - back):
        done = trial.sweep()
        trial.look()
    trial.how("equal" if done.returncode == 0 else f"exit {done.returncode}")
    trial.compare()


def files_from_the_future(trial: Trial) -> None:
    """Give every file of the results a time in the future, as after a clock that was wrong."""
    trial.begin("half")
    ahead = time.time() + 10 ** trial.rng.uniform(0, 8.5)
    for path in trial.folder.rglob("*"):
        os.utime(path, (ahead, ahead))
    done = trial.sweep()
    trial.look()
    trial.how("equal" if done.returncode == 0 else f"exit {done.returncode}")
    trial.compare()


def no_hard_links(trial: Trial) -> None:
    """Let every hard link fail, as on some network and removable disks."""
    number = trial.rng.choice((errno.EPERM, errno.EOPNOTSUPP, errno.EMLINK, errno.EXDEV))

    def link(*_: object, **__: object) -> None:
        raise OSError(number, os.strerror(number))

    trial.begin("half")
    with mock.patch.object(os, "link", link):
        done = trial.sweep()
        trial.look()
    trial.how("equal" if done.returncode == 0 else "failed alone")
    trial.compare()


def failing_call(trial: Trial, name: str, number: int) -> None:
    """Let one call of an operation on files fail, and all later ones, from a random call on."""
    trial.begin("half")
    original, left = getattr(os, name), trial.rng.randrange(1, 12)

    def fails(*arguments: object, **options: object) -> object:
        nonlocal left
        left -= 1
        if left < 0:
            raise OSError(number, os.strerror(number))
        return original(*arguments, **options)

    with mock.patch.object(os, name, fails):
        done = trial.sweep()
    judged(trial, done)
    trial.look()
    trial.finish()


FAULTS = [
    Fault("machine", "disk full", ("stopped", "refused", "equal"), full_disk, needs_root=True),
    Fault("machine", "read-only remount", SAID, read_only, needs_root=True),
    Fault("machine", "ulimit -f", SAID, lambda trial: limited(trial, resource.RLIMIT_FSIZE, 100, 40_000)),
    Fault("machine", "ulimit -n", SAID, lambda trial: limited(trial, resource.RLIMIT_NOFILE, 4, 32)),
    Fault("machine", "fsync fails: no space", SAID, lambda trial: failing_call(trial, "fsync", errno.ENOSPC)),
    Fault("machine", "rename fails: input/output error", SAID, lambda trial: failing_call(trial, "replace", errno.EIO)),
    Fault("machine", "clock set back", ("equal",), clock_back),
    Fault("machine", "files from the future", ("equal",), files_from_the_future),
    Fault("machine", "no hard links", ("equal",), no_hard_links),
]
