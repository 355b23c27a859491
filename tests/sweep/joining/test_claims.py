"""Members and claims: who lives is seen by changes of files and not by clocks; of several who claim, one does."""

import errno
import json
import os
import signal
import time
from pathlib import Path
from typing import Any

import pytest

from lipschitz.process_identity import identity, is_gone, is_running
from lipschitz.sweep.joining.claims import Claims, read_claims
from lipschitz.sweep.joining.members import Members, OwnMember, read_member


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture(autouse=True)
def quiet_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lipschitz.sweep.joining.members.BEAT_SECONDS", 3600.0)


def stranger(folder: Path, token: str, beats: int = 0) -> Path:
    """Write the file of a member on another machine."""
    folder.mkdir(parents=True, exist_ok=True)
    known = {"token": token, "host": "other", "pid": 1, "identity": "boot pid:[1] 1 1", "plan": "p", "joins": True}
    path = folder / token
    path.write_text(f"{json.dumps(known)}\n{beats:020}\n")
    return path


def own(folder: Path) -> OwnMember:
    return OwnMember(folder, plan="p", joins=True, lease=10**6)


def test_a_member_is_lost_once_its_file_did_not_change_for_a_lease(tmp_path: Path) -> None:
    clock = Clock()
    members = Members(tmp_path, lease=60.0, clock=clock)
    stranger(tmp_path, "aa")
    for clock.now in (0.0, 20.0, 40.0, 60.0):
        assert members.may_live("aa")
        assert not members.lives("aa"), "no change was seen"
    clock.now = 61.0
    assert not members.may_live("aa")
    stranger(tmp_path, "aa", beats=1)
    assert members.may_live("aa")
    assert members.lives("aa")
    for clock.now in (80.0, 100.0, 121.0):
        assert members.may_live("aa")
    clock.now = 122.0
    assert not members.may_live("aa")


def test_times_of_files_and_clocks_of_machines_decide_nothing(tmp_path: Path) -> None:
    clock = Clock()
    members = Members(tmp_path, lease=60.0, clock=clock)
    path = stranger(tmp_path, "aa")
    for year in (0, 4 * 10**9):
        os.utime(path, (year, year))
        clock.now += 25.0
        assert members.may_live("aa")
    for clock.now in (70.0, 86.0):
        os.utime(path, (time.time() + clock.now, time.time() + clock.now))
        members.may_live("aa")
    assert not members.may_live("aa"), "a newer time is no change"


def test_who_has_not_looked_for_long_takes_nobody_for_lost(tmp_path: Path) -> None:
    clock = Clock()
    members = Members(tmp_path, lease=60.0, clock=clock)
    stranger(tmp_path, "aa")
    assert members.may_live("aa")
    clock.now = 10_000.0
    assert members.may_live("aa"), "this process may have been stopped meanwhile"


def test_a_process_that_is_gone_from_this_machine_is_known_to_be(tmp_path: Path) -> None:
    pid = os.fork()
    if pid == 0:
        signal.pause()
    named = identity(pid)
    assert named
    assert not is_gone(named)
    os.kill(pid, signal.SIGSTOP)
    os.waitpid(pid, os.WUNTRACED)
    assert (is_gone(named), is_running(named)) == (False, False)
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    assert is_gone(named)
    assert (is_gone("another boot pid:[1] 1 1"), is_running("another boot pid:[1] 1 1")) == (False, False)
    path = stranger(tmp_path, "aa")
    path.write_text(path.read_text().replace("boot pid:[1] 1 1", named))
    assert not Members(tmp_path).may_live("aa")


def test_a_member_changes_its_file_in_place_and_removes_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lipschitz.sweep.joining.members.BEAT_SECONDS", 0.001)
    member = own(tmp_path / "members")
    inode, end = member.path.stat().st_ino, time.monotonic() + 60
    while (found := read_member(member.path)) is None or found.beats < 2:
        assert time.monotonic() < end
    assert (found.pid, found.joins, member.path.stat().st_ino) == (os.getpid(), True, inode)
    member.leave()
    assert not (tmp_path / "members").exists()


def test_of_two_who_claim_one_does_and_a_lost_claim_is_taken_over_once(tmp_path: Path) -> None:
    clock = Clock()
    folder = tmp_path / "members"
    stranger(folder, "aa")
    first, second = own(folder), own(folder)
    one, two = (Claims(tmp_path / "claims", each, Members(folder, each.token, 60.0, clock)) for each in (first, second))
    (tmp_path / "claims").mkdir()
    os.link(folder / "aa", tmp_path / "claims" / "a.run.1")
    held = one.read()["a.run"]
    assert one.holder(held) is not None
    assert two.holder(held) is not None
    for clock.now in (30.0, 59.0, 61.0):
        takes = [claims.holder(held) is None for claims in (one, two)]
    assert takes == [True, True]
    assert two.take("a.run", held)
    assert not one.take("a.run", held), "it knows of number 1, and number 2 is taken"
    now = one.read()["a.run"]
    assert (now.number, two.is_own(now), one.is_own(now)) == (2, True, False)
    assert one.holder(now) is not None
    second.leave()
    assert one.holder(now) is None, "who has left holds nothing"
    assert one.take("a.run", now)
    assert one.take("b", None)
    one.drop("a.run")
    assert set(read_claims(tmp_path / "claims")) == {"b"}
    first.leave()


def test_a_link_whose_answer_was_lost_counts_as_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file server may make a link, lose its answer, and be asked again."""
    link = os.link

    def twice(source: Any, target: Any) -> None:
        link(source, target)
        raise FileExistsError(errno.EEXIST, "File exists")

    member = own(tmp_path / "members")
    claims = Claims(tmp_path / "claims", member, Members(tmp_path / "members", member.token))
    monkeypatch.setattr(os, "link", twice)
    assert claims.take("run", None)
    member.leave()


def test_a_member_whose_file_was_removed_takes_part_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lipschitz.sweep.joining.members.BEAT_SECONDS", 0.001)
    member = own(tmp_path / "members")
    for _ in range(2):
        member.path.unlink()
        end = time.monotonic() + 60
        while read_member(member.path) is None:
            assert time.monotonic() < end
    member.leave()


def test_only_the_files_of_members_that_are_known_to_be_lost_are_removed(tmp_path: Path) -> None:
    clock = Clock()
    members = Members(tmp_path, lease=60.0, clock=clock)
    stranger(tmp_path, "aa")
    stranger(tmp_path, ".bb")
    (tmp_path / ".dd").write_text("")
    (tmp_path / "cc").write_text("")
    for clock.now in (0.0, 25.0, 50.0, 61.0):
        members.may_live("aa")
        members.remove_lost()
    assert {path.name for path in tmp_path.iterdir()} == {".bb", "cc"}


def test_a_member_whose_file_is_removed_while_it_is_written_writes_it_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    link, left = os.link, iter(range(3))

    def removed_before(source: Any, target: Any) -> None:
        if next(left, None) is not None:
            Path(source).unlink()
        link(source, target)

    monkeypatch.setattr(os, "link", removed_before)
    member = own(tmp_path / "members")
    assert read_member(member.path)
    member.leave()


def test_who_was_taken_for_lost_gives_up_no_claim_of_its_successor(tmp_path: Path) -> None:
    folder = tmp_path / "members"
    first, second = own(folder), own(folder)
    one, two = (Claims(tmp_path / "claims", each, Members(folder, each.token)) for each in (first, second))
    assert one.take("timing-x", None)
    assert two.take("timing-x", one.read()["timing-x"])
    one.leave("timing-x")
    assert two.is_own(two.read()["timing-x"])
    two.leave("timing-x")
    assert one.read() == {}
    first.leave()
    second.leave()


def test_a_folder_of_claims_that_was_just_removed_is_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    member = own(tmp_path / "members")
    claims = Claims(tmp_path / "claims", member, Members(tmp_path / "members", member.token))
    link = os.link

    def removed_before(source: Any, target: Any) -> None:
        monkeypatch.setattr(os, "link", link)
        (tmp_path / "claims").rmdir()
        link(source, target)

    monkeypatch.setattr(os, "link", removed_before)
    assert claims.take("run", None)
    member.leave()


@pytest.mark.parametrize("number", [errno.EMFILE, errno.ENOENT])
def test_a_process_of_which_nothing_can_be_read_is_not_gone(monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    named, read = identity(), Path.read_text

    def fails(path: Path, *arguments: Any, **options: Any) -> str:
        if path.name == "stat":
            raise OSError(number, os.strerror(number))
        return read(path, *arguments, **options)

    monkeypatch.setattr(Path, "read_text", fails)
    assert (is_gone(named), is_running(named)) == (False, False)
