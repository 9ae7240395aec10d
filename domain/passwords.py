"""Passwords: which may be chosen, and what is kept of them."""

from __future__ import annotations

from threading import BoundedSemaphore

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from domain.errors import NotAllowed
from domain.rights import known_as

SHORTEST, LONGEST = 12, 1000
# The longer ones of the lists that guessers begin with; what is shorter than SHORTEST need not be here.
COMMON = frozenset(
    [
        "123456789012",
        "1234567890123",
        "12345678901234",
        "123456789012345",
        "1234567890123456",
        "12345678910111213",
        "123123123123",
        "111111111111",
        "000000000000",
        "121212121212",
        "987654321098",
        "098765432109",
        "112233445566",
        "123456123456",
        "123412341234",
        "qwertyuiop12",
        "qwertyuiop123",
        "qwertyuiopas",
        "qwertyuiopasdf",
        "qwertyuiop[]",
        "qwerty123456",
        "qwerty1234567",
        "qwerty12345678",
        "qwertyqwerty",
        "qwerty123qwerty",
        "1q2w3e4r5t6y",
        "1q2w3e4r5t6y7u",
        "1qaz2wsx3edc",
        "1qaz2wsx3edc4rfv",
        "zaq12wsxcde3",
        "asdfghjkl123",
        "asdfghjklzxc",
        "zxcvbnm12345",
        "zxcvbnmasdfghjkl",
        "abcdefghijkl",
        "abcdefghijklmnop",
        "abcdefg123456",
        "abcdef123456",
        "abcd12345678",
        "abc123abc123",
        "a1b2c3d4e5f6",
        "aaaaaaaaaaaa",
        "passwordpassword",
        "password1234",
        "password12345",
        "password123456",
        "password1234567",
        "password12345678",
        "password123456789",
        "password123!",
        "password1234!",
        "mypassword12",
        "mypassword123",
        "mypassword1234",
        "newpassword1",
        "newpassword12",
        "newpassword123",
        "changeme1234",
        "changemenow1",
        "changeme12345",
        "letmein12345",
        "letmein123456",
        "letmeinletmein",
        "welcome12345",
        "welcome123456",
        "welcome1234!",
        "welcometohell",
        "administrator",
        "administrator1",
        "administrator123",
        "adminadmin123",
        "adminadminadmin",
        "administrador",
        "admin1234567",
        "admin12345678",
        "administration",
        "iloveyou1234",
        "iloveyou12345",
        "iloveyouforever",
        "iloveyousomuch",
        "iloveyou123456",
        "ilovemyfamily",
        "ilovemyself12",
        "football1234",
        "baseball1234",
        "basketball12",
        "sunshine1234",
        "princess1234",
        "superman1234",
        "batman123456",
        "dragon123456",
        "monkey123456",
        "master123456",
        "michael12345",
        "charlie12345",
        "jordan123456",
        "liverpool123",
        "liverpool1234",
        "chelsea12345",
        "manchesterunited",
        "computer1234",
        "internet1234",
        "samsung12345",
        "correcthorsebatterystaple",
        "thequickbrownfox",
        "whatever1234",
        "trustno1trustno1",
        "unbelievable",
        "supercalifragilisticexpialidocious",
        "passw0rd1234",
        "p@ssw0rd1234",
        "p@ssword1234",
        "passwort1234",
        "passwort12345",
        "contraseña123",
        "motdepasse12",
        "motdepasse123",
        "bulksender12",
        "bulksender123",
        "bulk-sender123",
    ]
)

HASHER = PasswordHasher()
"""Argon2id with the library's present parameters; a hash with others is made anew at the next sign-in."""
_AT_ONCE = BoundedSemaphore(2)
"""Each takes 64 MiB: many sign-ins at once must not take the machine's memory."""
_of_nobody: dict[PasswordHasher, str] = {}


def require_usable(password: str, *, email: str) -> None:
    """Make sure that a password may be chosen (NIST SP 800-63B: long and not easily guessed, no other rules).

    Raises:
        NotAllowed: it may not.
    """
    plain = password.strip().casefold()
    if len(password) < SHORTEST:
        raise NotAllowed(f"The password has fewer than {SHORTEST} characters. Choose a longer one, such as four words.")
    if len(password) > LONGEST:
        raise NotAllowed(f"The password has more than {LONGEST:,} characters. Choose a shorter one.")
    if plain in {known_as(email), known_as(email).partition("@")[0]}:
        raise NotAllowed("The password is the email. Choose one that nobody can guess from it.")
    if plain in COMMON or len(set(plain)) == 1:
        raise NotAllowed("The password is one of those that are tried first. Choose another, such as four words.")


def hashed(password: str) -> str:
    """What to keep of a password."""
    with _AT_ONCE:
        return HASHER.hash(password)


def is_right(kept: str | None, password: str) -> bool:
    """Whether a password is the one that was kept; takes as long where none was kept."""
    if len(password) > LONGEST:
        return False
    with _AT_ONCE:
        if HASHER not in _of_nobody:
            _of_nobody[HASHER] = HASHER.hash("nobody's password")
        try:
            return HASHER.verify(_of_nobody[HASHER] if kept is None else kept, password) and kept is not None
        except (VerificationError, InvalidHashError):
            return False


def is_outdated(kept: str) -> bool:
    """Whether it was hashed with other parameters than those of today."""
    return HASHER.check_needs_rehash(kept)
