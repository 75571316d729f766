"""What has been measured so far, in a file that is whole at any moment. Standard library only; one
thread."""

import json
import os
import pathlib

import figures


class Mismatch(Exception):
    """Why results cannot be gone on with."""


class Results:
    """Invariant: the file holds everything that was added."""

    def __init__(self, path: pathlib.Path, world: int, method: dict):
        self.path, self.log = path, path.with_suffix(".log")
        self.world, self.method = world, method
        self.machine, self.cells, self.given_up = {}, [], {}

    def resume(self) -> None:
        """Takes over what the file has, if there is one of the same measurement."""
        if not self.path.exists():
            return
        try:
            content = json.loads(self.path.read_text(encoding="utf-8"))
            held = content["world"], content["method"]
            self.machine, self.given_up = content["machine"], content["given_up"]
            self.cells = [{name: cell[name] for name in ("hidden", "tokens", "us", "missing")}
                          for cell in content["cells"]]
        except (ValueError, KeyError, TypeError) as error:
            raise Mismatch(f"{self.path}: not such results ({error!r}); remove it") from error
        if held != (self.world, self.method):
            raise Mismatch(f"{self.path}: holds another measurement ({held[0]} ranks, {held[1]}); "
                           "name another file with --json, or remove it")

    def has(self, hidden: int, tokens: int) -> bool:
        return any((cell["hidden"], cell["tokens"]) == (hidden, tokens) for cell in self.cells)

    def add(self, cell: dict) -> None:
        cell["missing"].update(self.given_up)
        self.cells.append(cell)
        self.cells.sort(key=lambda one: (one["hidden"], one["tokens"]))
        self.save()

    def give_up(self, contender: str, why: str) -> None:
        self.given_up[contender] = why
        self.save()

    def save(self) -> None:
        content = figures.document(self.cells, self.world, self.method, self.machine)
        content["given_up"] = self.given_up
        whole = self.path.with_suffix(".part")
        whole.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
        os.replace(whole, self.path)
