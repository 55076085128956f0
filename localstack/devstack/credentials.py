"""The passwords of the local databases and the secrets of the card processors: made once, and kept with the data."""

import json
import secrets
from pathlib import Path

from devstack.ports import LOOPBACK

SUPERUSER = "postgres"
REPLICATION = "replicator"
SIMULATOR = "simulator"
OWNER = "guilder_owner"
APP = "guilder_app"
MOVER = "guilder_mover"

ROLES = (OWNER, APP, MOVER, SIMULATOR)
"""They log in; what they may do is granted by the migrations."""


def load(file: Path) -> dict[str, str]:
    """The password of each role; those that have none yet get one."""
    passwords: dict[str, str] = json.loads(file.read_text()) if file.exists() else {}
    missing = [role for role in (SUPERUSER, REPLICATION, *ROLES) if role not in passwords]
    if missing:
        passwords |= {role: secrets.token_urlsafe(24) for role in missing}
        write_private(file, json.dumps(passwords, indent=2) + "\n")
    return passwords


def load_processor_secrets(file: Path) -> dict[str, dict[str, str]]:
    """The secrets of the card processors as the functions read them; one that has none yet gets one."""
    known: dict[str, dict[str, str]] = json.loads(file.read_text()) if file.exists() else {}
    if SIMULATOR not in known:
        known |= {SIMULATOR: {"notification_secret": secrets.token_urlsafe(32)}}
        write_private(file, json.dumps(known, indent=2) + "\n")
    return known


def password_file(passwords: dict[str, str]) -> str:
    """The passwords in the format of libpq's password file, good for every port of this machine."""
    return "".join(f"{LOOPBACK}:*:*:{role}:{password}\n" for role, password in passwords.items())


def write_private(file: Path, text: str) -> None:
    """Write a file that only its owner may read, whole or not at all."""
    file.parent.mkdir(parents=True, exist_ok=True)
    draft = file.with_name(f"{file.name}.new")
    draft.unlink(missing_ok=True)
    draft.touch(mode=0o600)
    draft.write_text(text)
    draft.replace(file)
