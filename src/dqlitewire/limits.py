"""Every cap in one place: the defaults under their public names, and `Limits`, which carries a choice.

A cap bounds what one frame may make a reader allocate or a writer send; `None` lifts it.
"""

from __future__ import annotations

from .checks import checked_kind, checked_number
from .constants import DEFAULT_MAX_CONTINUATION_FRAMES, DEFAULT_MAX_TOTAL_ROWS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, NoReturn

__all__ = [
    "DEFAULT_MAX_MESSAGE_SIZE",
    "DEFAULT_MAX_ROWS",
    "MAX_ADDRESS_SIZE",
    "MAX_BLOB_SIZE",
    "MAX_COLUMN_COUNT",
    "MAX_COLUMN_NAME_SIZE",
    "MAX_DUMP_FILENAME_SIZE",
    "MAX_FAILURE_MESSAGE_SIZE",
    "MAX_FILENAME_SIZE",
    "MAX_FILE_CONTENT_SIZE",
    "MAX_FILE_COUNT",
    "MAX_MESSAGE_SIZE_CEILING",
    "MAX_NODE_COUNT",
    "MAX_PARAM_COUNT",
    "MAX_ROWS_AFFECTED",
    "MAX_TAIL_OFFSET",
    "MAX_TEXT_VALUE_SIZE",
    "Limits",
]

DEFAULT_MAX_MESSAGE_SIZE = 64 * 1024 * 1024  # bytes of one frame, header included
MAX_MESSAGE_SIZE_CEILING = 0xFFFFFFFF
DEFAULT_MAX_ROWS = 1_000_000  # in one ROWS frame
MAX_ADDRESS_SIZE = 256  # bytes of UTF-8, as for every text below
MAX_BLOB_SIZE = 64 * 1024 * 1024 - 64
MAX_TEXT_VALUE_SIZE = 64 * 1024 * 1024 - 64
MAX_COLUMN_COUNT = 2000  # SQLITE_MAX_COLUMN; upstream's STMT__MAX_COLUMNS is enforced nowhere
MAX_COLUMN_NAME_SIZE = 4096
MAX_DUMP_FILENAME_SIZE = 1019  # dqlite src/gateway.c: dumpFile cuts the name there
MAX_FAILURE_MESSAGE_SIZE = 65_536
MAX_FILENAME_SIZE = 4096
MAX_FILE_CONTENT_SIZE = 64 * 1024 * 1024 - 64
MAX_FILE_COUNT = 100
MAX_NODE_COUNT = 10_000
MAX_PARAM_COUNT = 32_766  # SQLITE_MAX_VARIABLE_NUMBER
MAX_ROWS_AFFECTED = 2**31 - 1  # sqlite3_changes is an int
MAX_TAIL_OFFSET = 64 * 1024 * 1024


class Limits:
    """Caps for one decoder or encoder; every one is a positive integer, or None for no cap.

    Args:
        max_message_size: bytes of one frame, header included; at most 2**32 - 1.
        max_rows: rows of one ROWS frame.
        max_total_rows: rows of one query, over all its frames.
        max_continuation_frames: ROWS frames of one query.
        max_text_value_size: bytes of a TEXT value or of SQL text.
        max_blob_size: bytes of a BLOB value.
        max_param_count: parameters of one request, or of a prepared statement.
        max_column_count: columns of a result.
        max_column_name_size: bytes of a column name.
        max_file_count: files of one FILES frame.
        max_filename_size: bytes of a file or database name.
        max_dump_filename_size: bytes of the database name in DUMP.
        max_file_content_size: bytes of one dumped file.
        max_node_count: nodes of one SERVERS frame.
        max_address_size: bytes of a node's address.
        max_failure_message_size: bytes of a failure's message.
        max_tail_offset: SQL bytes consumed by PREPARE, as STMT reports them.
        max_rows_affected: rows changed, as RESULT reports them.

    Raises:
        ValueError: a cap below 1, or a message size above 2**32 - 1.
        TypeError: a cap that is neither an integer nor None.
    """

    max_message_size: int | None
    max_rows: int | None
    max_total_rows: int | None
    max_continuation_frames: int | None
    max_text_value_size: int | None
    max_blob_size: int | None
    max_param_count: int | None
    max_column_count: int | None
    max_column_name_size: int | None
    max_file_count: int | None
    max_filename_size: int | None
    max_dump_filename_size: int | None
    max_file_content_size: int | None
    max_node_count: int | None
    max_address_size: int | None
    max_failure_message_size: int | None
    max_tail_offset: int | None
    max_rows_affected: int | None

    __slots__ = tuple(__annotations__)

    def __init__(
        self,
        *,
        max_message_size: int | None = DEFAULT_MAX_MESSAGE_SIZE,
        max_rows: int | None = DEFAULT_MAX_ROWS,
        max_total_rows: int | None = DEFAULT_MAX_TOTAL_ROWS,
        max_continuation_frames: int | None = DEFAULT_MAX_CONTINUATION_FRAMES,
        max_text_value_size: int | None = MAX_TEXT_VALUE_SIZE,
        max_blob_size: int | None = MAX_BLOB_SIZE,
        max_param_count: int | None = MAX_PARAM_COUNT,
        max_column_count: int | None = MAX_COLUMN_COUNT,
        max_column_name_size: int | None = MAX_COLUMN_NAME_SIZE,
        max_file_count: int | None = MAX_FILE_COUNT,
        max_filename_size: int | None = MAX_FILENAME_SIZE,
        max_dump_filename_size: int | None = MAX_DUMP_FILENAME_SIZE,
        max_file_content_size: int | None = MAX_FILE_CONTENT_SIZE,
        max_node_count: int | None = MAX_NODE_COUNT,
        max_address_size: int | None = MAX_ADDRESS_SIZE,
        max_failure_message_size: int | None = MAX_FAILURE_MESSAGE_SIZE,
        max_tail_offset: int | None = MAX_TAIL_OFFSET,
        max_rows_affected: int | None = MAX_ROWS_AFFECTED,
    ) -> None:
        chosen = locals()
        for name in Limits.__slots__:
            object.__setattr__(self, name, checked_cap(name, chosen[name]))

    def __setattr__(self, name: str, value: object) -> NoReturn:
        raise AttributeError(f"Limits.{name} cannot be set")

    __delattr__ = __setattr__  # type: ignore[assignment]

    def replace(self, **changes: int | None) -> Limits:
        """Return a copy with other values for some caps.

        Args:
            changes: the new values, by the names of the caps.

        Raises:
            ValueError: a cap out of range.
            TypeError: no cap has that name, or a value is neither an integer nor None.
        """
        return Limits(**{name: getattr(self, name) for name in Limits.__slots__} | changes)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Limits):
            return NotImplemented
        return all(getattr(self, name) == getattr(other, name) for name in Limits.__slots__)

    def __hash__(self) -> int:
        return hash(tuple(getattr(self, name) for name in Limits.__slots__))

    def __reduce__(self) -> tuple[object, ...]:
        return _restore, ({name: getattr(self, name) for name in Limits.__slots__},)

    def __repr__(self) -> str:
        changed = (n for n in Limits.__slots__ if getattr(self, n) != getattr(DEFAULT_LIMITS, n))
        return f"Limits({', '.join(f'{n}={getattr(self, n)}' for n in changed)})"


def _restore(caps: dict[str, int | None]) -> Limits:
    return Limits(**caps)


def checked_cap(name: str, cap: Any) -> int | None:
    """Return a cap that is None or in range.

    Raises:
        ValueError: it is below 1, or a message size above 2**32 - 1.
        TypeError: it is neither an integer nor None.
    """
    if cap is None:
        return None
    most = MAX_MESSAGE_SIZE_CEILING if name == "max_message_size" else None
    return checked_number(name, cap, 1, most, "an integer or None")


DEFAULT_LIMITS = Limits()


def checked_limits(limits: object) -> Limits:
    """Return limits, the usual ones for None.

    Raises:
        TypeError: neither `Limits` nor None.
    """
    return DEFAULT_LIMITS if limits is None else checked_kind("limits", limits, Limits, "Limits or None")


_NO_CAP = 1 << 64


class Options:
    """The options of a reader or writer: its limits, each None replaced by a number that no frame reaches.

    The keywords of the README win over `limits` where they differ from their defaults.
    """

    __slots__ = (
        *Limits.__slots__,
        "last_names",
        "limits",
        "max_value_size",
        "text_errors",
        "unknown_role_policy",
    )

    if TYPE_CHECKING:

        def __getattr__(self, name: str) -> int: ...

    # The column names of the ROWS frame that was read last, as bytes and as strings: see `rows.read`.
    last_names: tuple[bytes, list[str]]
    limits: Limits
    max_value_size: int
    text_errors: str
    unknown_role_policy: str

    def __init__(
        self,
        limits: Limits | None = None,
        text_errors: str = "strict",
        unknown_role_policy: str = "reject",
        **keywords: int | None,
    ) -> None:
        limits = checked_limits(limits)
        caps = {name: checked_cap(name, cap) for name, cap in keywords.items()}
        changes = {name: cap for name, cap in caps.items() if cap != getattr(DEFAULT_LIMITS, name)}
        self.last_names = b"", []
        self.limits = limits.replace(**changes) if changes else limits
        for name in Limits.__slots__:
            cap = getattr(self.limits, name)
            setattr(self, name, _NO_CAP if cap is None else cap)
        # What is no larger than this holds no value above its cap.
        self.max_value_size = min(self.max_text_value_size, self.max_blob_size)
        self.text_errors = text_errors
        self.unknown_role_policy = unknown_role_policy


DEFAULT_OPTIONS = Options()
