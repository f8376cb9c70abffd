"""Cards that come with the package, and how any card is found by name or by path."""

import tomllib
from dataclasses import dataclass
from importlib.resources import files
from importlib.resources.abc import Traversable
from os import PathLike, fspath
from pathlib import Path
from typing import Any

from bayesbasis.model.records import CardError, Place, build_record, instead, one_of


@dataclass(frozen=True)
class Shelf[T]:
    """Cards of one kind of model.

    Parameters
    ----------
    model : type
        Frozen record that a card is read as.
    kind : str
        Stands before "card" and "model" in messages; empty for none.
    folder : str
        Where the package keeps them, below its folder of cards.
    """

    model: type[T]
    kind: str = ""
    folder: str = ""

    def names(self) -> list[str]:
        """Names of the cards that come with the package, sorted."""
        names = [file.name for file in self._shipped().iterdir()]
        return sorted(name.removesuffix(".toml") for name in names if name.endswith(".toml"))

    def load(self, name_or_path: Any) -> T:
        """Read a card by name or path; a model is returned as it is.

        Raises
        ------
        CardError
            If there is no such card, or it holds a key, a name or a value that is not known.
        TypeError
            If what is given is none of these.
        """
        if isinstance(name_or_path, self.model):
            return name_or_path
        if not isinstance(name_or_path, str | PathLike):
            raise TypeError(
                f"a {self._of_kind('model')} is a {self.model.__name__}, the name of a "
                f"{self._of_kind('card')} or the path to one; got {type(name_or_path).__name__}"
            )
        content, label, stem = self._found(name_or_path)
        return read_record(self.model, content, stem, label)

    def text(self, name_or_path: str | PathLike[str]) -> str:
        """Text of a card, comments and all.

        Raises
        ------
        CardError
            If there is no such card.
        """
        return self._found(name_or_path)[0].decode("utf-8-sig")

    def _found(self, name_or_path: str | PathLike[str]) -> tuple[bytes, str, str]:
        """Content of a card, what it is called in messages, and the name of its file."""
        label = fspath(name_or_path)
        is_name = isinstance(name_or_path, str) and Path(label).name == label
        if is_name and not label.lower().endswith(".toml"):
            if label not in self.names():
                raise CardError(self._no_name(label))
            return (self._shipped() / f"{label}.toml").read_bytes(), label, label
        file = Path(label)
        if not file.is_file():
            raise CardError(self._no_file(file))
        return file.read_bytes(), label, file.stem

    def _shipped(self) -> Traversable:
        """Folder of the cards: inside an installed package, beside one that is run in place."""
        inside = files("bayesbasis") / "cards"
        cards = inside if inside.is_dir() else Path(__file__).resolve().parents[2] / "models"
        return cards / self.folder if self.folder else cards

    def _of_kind(self, noun: str) -> str:
        return f"{self.kind} {noun}".strip()

    def _no_name(self, name: str) -> str:
        hint = instead(name, self.names(), "there is")
        return (
            f"no {self._of_kind('card')} is named {name!r}{hint}; a path to a card of your own "
            "ends in .toml"
        )

    def _no_file(self, file: Path) -> str:
        beside = sorted(other.name for other in file.parent.glob("*.toml"))
        hint = instead(file.name, beside, "its folder holds") if beside else ""
        return f"no card at {str(file)!r}{hint}; by name there is {one_of(self.names())}"


def read_record[T](cls: type[T], content: str | bytes, stem: str, label: str | None = None) -> T:
    """Read a frozen record of scalars, priors and records from TOML text.

    Parameters
    ----------
    cls : type
        The record.
    content : str or bytes
        The text.
    stem : str
        Its name, if the text gives none.
    label : str, optional
        What it is called in messages; by default its name.

    Raises
    ------
    CardError
        If it is not TOML, or holds a key, a name or a value that is not known.
    """
    try:
        text = content if isinstance(content, str) else content.decode("utf-8-sig")
        table = {"name": stem} | tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        raise CardError(f"card {label or stem!r} is not TOML: {error}") from error
    return build_record(cls, table, Place(label or str(table["name"])))
