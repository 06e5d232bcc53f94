"""The secret key file of an embedded database: made once, readable by its owner only (contracts section 1)."""

import base64
import os
import secrets
from pathlib import Path

from ocpi_modules.secrets import KEY_LENGTH


class KeyFileUnusable(Exception):
    """One sentence: which file, what is wrong, the way out."""


def key_file_of(database_directory: Path) -> Path:
    """The key lies beside the database's directory, so that a copy of the data alone opens no secret."""
    return database_directory.with_name(database_directory.name + ".secret_key")


def read_or_make(file: Path) -> str:
    """The Base64 key in `file`; makes one with mode 0600 when there is none. Two starts at once get the same key."""
    file.parent.mkdir(parents=True, exist_ok=True)
    draft = file.with_name(f"{file.name}.{os.getpid()}.{secrets.token_hex(4)}")
    if not file.exists():
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w") as handle:
            handle.write(base64.b64encode(secrets.token_bytes(KEY_LENGTH)).decode() + "\n")
            handle.flush()
            os.fsync(handle.fileno())
        try:
            os.link(draft, file)
        except FileExistsError:
            pass
        finally:
            draft.unlink()
    if file.stat().st_mode & 0o077:
        raise KeyFileUnusable(f"{file} can be read by others; run `chmod 600 {file}`.")
    return file.read_text().strip()
