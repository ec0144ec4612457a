"""XML of strangers: no entities, no traceback; what is missing or no number is refused."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from xml.etree.ElementTree import Element, ParseError

import defusedxml.ElementTree
import numpy as np
from defusedxml.common import DefusedXmlException

from sar2opt.errors import SceneError
from sar2opt.sar.geolocation import Floats

_YEARS = (2014, 2100)


class Tree:
    """An element of an XML file, and the name of the file, for the errors."""

    def __init__(self, element: Element, where: str) -> None:
        self.element, self.where = element, where

    @classmethod
    def parse(cls, content: bytes, where: str) -> Tree:
        """Parse a file; raises ``SceneError`` if it is damaged or unsafe."""
        try:
            return cls(defusedxml.ElementTree.fromstring(content, forbid_dtd=True), where)
        except DefusedXmlException as error:
            raise SceneError(f"{where}: it declares entities or a DTD: refused") from error
        except (ParseError, ValueError, LookupError) as error:
            raise SceneError(f"{where}: not XML, or cut off: fetch it again") from error

    def all(self, path: str) -> list[Tree]:
        """Return the elements under ``path``, maybe none."""
        return [Tree(element, self.where) for element in self.element.iterfind(path)]

    def text(self, path: str) -> str:
        """Return a text; raises ``SceneError`` if it is missing or empty."""
        found = (self.element.findtext(path) or "").strip()
        if not found:
            raise SceneError(f"{self.where}: {path.strip('./')} is missing: fetch it again")
        return found

    def numbers(self, path: str) -> Floats:
        """Return the finite numbers of a list ``(n,)``, n > 0."""
        text = self.text(path)
        try:
            values = np.array(text.split(), dtype=np.float64)
        except ValueError:
            values = np.array([np.nan])
        if not np.isfinite(values).all():
            raise SceneError(f"{self.where}: {path.strip('./')} has no proper numbers in it")
        return values

    def number(self, path: str) -> float:
        """Return one finite number."""
        return float(self.numbers(path)[0])

    def count(self, path: str, most: int = 2**20) -> int:
        """Return a whole number from 1 to ``most``."""
        value = self.number(path)
        if not (value.is_integer() and 1 <= value <= most):
            raise self.wrong(f"{path.strip('./')} is {value:g}")
        return int(value)

    def time(self, path: str) -> np.datetime64:
        """Return a time, UTC; of the years that Sentinel-1 can have seen."""
        try:
            time = datetime.fromisoformat(self.text(path))
            time = time.astimezone(UTC).replace(tzinfo=None) if time.tzinfo else time
        except (ValueError, OverflowError):
            time = datetime.min
        if not _YEARS[0] <= time.year <= _YEARS[1]:  # beyond, datetime64 wraps without a word
            raise self.wrong(f"{path.strip('./')} is no time")
        return np.datetime64(time, "ns")

    def seconds(self, path: str, epoch: np.datetime64) -> float:
        """Return a time as seconds since ``epoch``."""
        return float((self.time(path) - epoch) / np.timedelta64(1, "ns")) * 1e-9

    def wrong(self, what: Any) -> SceneError:
        """Return the error that says what is wrong with the file."""
        return SceneError(f"{self.where}: {what}: fetch it again")
