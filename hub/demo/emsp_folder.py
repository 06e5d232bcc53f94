"""The memory of the sample eMSP: files in one folder, each written whole and flushed before anything is acknowledged."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ocpi_modules import json


class EmspFolder:
    """credentials.json, parties.json, objects/<module>/<key>.json and raw.jsonl, the log of every request as it came."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)

    def read(self, name: str) -> Any:
        """The JSON document of this name, or None."""
        path = self.folder / f"{name}.json"
        return json.decode(path.read_bytes()) if path.exists() else None

    def write(self, name: str, document: Any) -> None:
        self._replace(self.folder / f"{name}.json", json.encode(document))

    def object(self, module: str, key: str) -> bytes | None:
        """A kept object's bytes, or None."""
        path = self._path(module, key)
        return path.read_bytes() if path.exists() else None

    def keep(self, module: str, key: str, body: bytes) -> bool:
        """Keep an object as it came; True when it is new."""
        path = self._path(module, key)
        new = not path.exists()
        self._replace(path, body)
        return new

    def remove(self, module: str, key: str) -> None:
        self._path(module, key).unlink(missing_ok=True)

    def objects(self, module: str, limit: int = 1000) -> Iterator[bytes]:
        """Kept objects of a module in the order of their keys, at most `limit`."""
        return (body for _, body in self.named_objects(module, limit))

    def named_objects(self, module: str, limit: int = 1000) -> Iterator[tuple[str, bytes]]:
        """The same with their file names."""
        folder = self.folder / "objects" / module
        paths = sorted(folder.glob("*.json")) if folder.exists() else []
        for path in paths[:limit]:
            yield path.stem, path.read_bytes()

    def log(self, line: dict[str, Any]) -> None:
        """Append to the raw log and flush it to the disk."""
        with (self.folder / "raw.jsonl").open("ab") as file:
            file.write(json.encode(line) + b"\n")
            file.flush()
            os.fsync(file.fileno())

    def _path(self, module: str, key: str) -> Path:
        safe = "".join(character if character.isalnum() else f"%{ord(character):02x}" for character in key.upper())
        return self.folder / "objects" / module / f"{safe}.json"

    def _replace(self, path: Path, body: bytes) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        fresh = path.with_name(path.name + ".new")
        with fresh.open("wb") as file:
            file.write(body)
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(path)
