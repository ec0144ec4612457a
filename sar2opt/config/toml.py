"""Settings to and from TOML; an unknown key is an error that names the nearest known one."""

from __future__ import annotations

import difflib
import tomllib
from pathlib import Path
from typing import Any, TypeVar

from pydantic import ValidationError

from sar2opt.config.settings import Settings
from sar2opt.errors import ConfigError

S = TypeVar("S", bound=Settings)


def load_config(path: Path | None, kind: type[S], overrides: dict[str, Any] | None = None) -> S:
    """Read settings of type ``kind`` from a TOML file, and lay ``overrides`` over them.

    ``overrides`` maps dotted names (``scene.scale``) to values; a value of None is skipped.
    Raises ``ConfigError`` in one line.
    """
    values: dict[str, Any] = {}
    if path is not None:
        try:
            values = tomllib.loads(Path(path).read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
            raise ConfigError(f"{path}: cannot be read as TOML: {error}") from error
    for dotted, value in (overrides or {}).items():
        if value is not None:
            _set(values, dotted, value)
    return parse_config(values, kind, str(path or "settings"))


def parse_config(values: dict[str, Any], kind: type[S], where: str = "settings") -> S:
    """Build settings of type ``kind`` from nested plain values; raises ``ConfigError``."""
    _refuse_unknown(values, kind, where, "")
    try:
        return kind.model_validate(values)
    except ValidationError as error:
        raise ConfigError(f"{where}: {first_error(error)}") from error


def first_error(error: ValidationError) -> str:
    """Say in one line which value is wrong, and how."""
    first = error.errors()[0]
    return f"{'.'.join(str(part) for part in first['loc'])}: {first['msg']}"


def default_toml(kind: type[Settings]) -> str:
    """Return the default settings as commented TOML, printed from the types."""
    lines = [f"# {_first_line(kind)}"]
    plain = {n: f for n, f in kind.model_fields.items() if not _is_section(f.annotation)}
    for name, field in plain.items():
        lines += _entry(name, field.default, field.description)
    for name, field in kind.model_fields.items():
        if _is_section(field.annotation):
            section: type[Settings] = field.annotation  # type: ignore[assignment]
            lines += ["", f"[{name}]  # {_first_line(section)}"]
            for key, sub in section.model_fields.items():
                lines += _entry(key, sub.default, sub.description)
    return "\n".join(lines) + "\n"


def to_toml(settings: Settings) -> str:
    """Return settings as TOML that ``load_config`` reads back; what is not set is left out."""
    lines: list[str] = []
    for name, value in settings:
        if isinstance(value, Settings):
            body = [f"{key} = {_toml(item)}" for key, item in value if item is not None]
            lines += ["", f"[{name}]", *body]
        elif value is not None:
            lines.insert(0, f"{name} = {_toml(value)}")
    return "\n".join(lines).strip() + "\n"


def _entry(name: str, default: Any, description: str | None) -> list[str]:
    comment = f"# {description}" if description else ""
    if default is None or repr(default) == "PydanticUndefined":
        return [comment, f"# {name} ="]
    return [comment, f"{name} = {_toml(default)}"]


def _toml(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, (tuple, list)):
        return "[" + ", ".join(_toml(item) for item in value) + "]"
    if isinstance(value, (int, float)):
        return repr(value)
    return '"' + str(value).replace("\\", "\\\\").replace('"', '\\"') + '"'


def _first_line(kind: type[Settings]) -> str:
    return (kind.__doc__ or "").strip().splitlines()[0]


def _is_section(annotation: Any) -> bool:
    return isinstance(annotation, type) and issubclass(annotation, Settings)


def _set(values: dict[str, Any], dotted: str, value: Any) -> None:
    *sections, name = dotted.split(".")
    for section in sections:
        values = values.setdefault(section, {})
    values[name] = value


def _refuse_unknown(values: dict[str, Any], kind: type[Settings], where: str, prefix: str) -> None:
    for name, value in values.items():
        if name not in kind.model_fields:
            near = difflib.get_close_matches(name, kind.model_fields, n=1, cutoff=0.0)[0]
            raise ConfigError(
                f"{where}: unknown setting '{prefix}{name}'; the nearest known is '{prefix}{near}'"
            )
        annotation = kind.model_fields[name].annotation
        if _is_section(annotation) and isinstance(value, dict):
            _refuse_unknown(value, annotation, where, f"{prefix}{name}.")  # type: ignore[arg-type]
