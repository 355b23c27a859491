"""Claims: which member makes which run. A claim is a further name of the member's file, made by link(2). No torch.

The names are ``<run id>.<number>``, and the highest number counts. A claim whose member has left or is lost is taken
over by making the next number: of several processes that try, one makes the name. A claim is a hint that saves work.
"""

from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from lipschitz.errors import InputError
from lipschitz.files import link_first
from lipschitz.sweep.joining.members import Member, Members, OwnMember, read_member


class Claim(NamedTuple):
    """The claim on a run that counts."""

    number: int
    member: Member | None
    """Who has it; None where its file cannot be read."""


def read_claims(folder: Path) -> dict[str, Claim]:
    """Return every claim in a folder, by what is claimed. Few are there: that on a run that is over is removed."""
    numbers: dict[str, int] = {}
    with suppress(OSError):
        for path in folder.iterdir():
            key, _, number = path.name.rpartition(".")
            if key and number.isdecimal():
                numbers[key] = max(int(number), numbers.get(key, 0))
    return {key: Claim(number, read_member(folder / f"{key}.{number}")) for key, number in numbers.items()}


def remove_claims(folder: Path) -> None:
    """Remove the claims that members who have left had, and the folder."""
    with suppress(OSError):
        for path in list(folder.iterdir()):
            path.unlink(missing_ok=True)
        folder.rmdir()


class ShutOut(InputError):
    """This process was taken for lost, as it was stopped for long, and a sweep without --join has begun."""


class Claims:
    """The claims in ``joined/claims/``, made and read by one member."""

    def __init__(self, folder: Path, own: OwnMember, members: Members) -> None:
        self._folder, self._own, self._members = folder, own, members

    def read(self) -> dict[str, Claim]:
        """Return every claim, by what is claimed."""
        return read_claims(self._folder)

    def holder(self, claim: Claim | None) -> Member | None:
        """Return who holds a claim and may be alive; None where it can be taken."""
        if claim is None or claim.member is None or not self._members.may_live(claim.member.token):
            return None
        return claim.member

    def lives(self, holder: Member) -> bool:
        """Return whether a holder was seen to live."""
        return self._members.lives(holder.token)

    def is_own(self, claim: Claim | None) -> bool:
        """Return whether this process holds a claim."""
        return claim is not None and claim.member is not None and claim.member.token == self._own.token

    def come_back(self) -> None:
        """Write the file of this process anew, where others took it for lost and removed it.

        Raises:
            ShutOut: a sweep by itself has begun meanwhile.
        """
        if not self._own.write_again():
            raise ShutOut(
                f"{self._folder.parent.parent}: this process stood still for longer than --lease, and a sweep without "
                "--join has begun in this folder; wait for it, and start again"
            )

    def take(self, key: str, claim: Claim | None) -> bool:
        """Claim ``key``, on which ``claim`` is the last known, and say whether that was done before others did it.

        Raises:
            ShutOut: this process was taken for lost, and a sweep by itself has begun.
            OSError: the folder cannot be written.
        """
        target = self._folder / f"{key}.{claim.number + 1 if claim else 1}"
        # The last member that leaves removes the folder.
        self._folder.mkdir(parents=True, exist_ok=True)
        self.come_back()
        try:
            return link_first(self._own.path, target)
        except FileNotFoundError:
            # The last member that left has just removed the folder, or another one the file of this process.
            self._folder.mkdir(parents=True, exist_ok=True)
            self.come_back()
            return link_first(self._own.path, target)

    def leave(self, key: str) -> None:
        """Give up the claim of this process on ``key``, which another one may have taken over."""
        if (claim := self.read().get(key)) and self.is_own(claim):
            with suppress(OSError):
                # Its own last: those before it would count again.
                for number in range(1, claim.number + 1):
                    (self._folder / f"{key}.{number}").unlink(missing_ok=True)

    def drop(self, key: str) -> None:
        """Remove all claims on ``key``, which is over."""
        with suppress(OSError):
            for path in list(self._folder.iterdir()):
                if path.name.rpartition(".")[0] == key:
                    path.unlink(missing_ok=True)
