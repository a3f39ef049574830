"""Files and run folders that appear whole or not at all.

Everything is written beside its destination under a temporary name and then renamed, so that a full disk, an error or
Ctrl-C leaves what was there before.
"""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import shutil
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

from fairaudit.errors import OutputError

MARKS = ("run.json", "audit.json", "predictions.parquet")
"""Any of these in a folder makes it a run folder, which a later run may replace."""


def write_whole(path: Path, content: bytes | str) -> None:
    """Write one file, whole or not at all; missing parent folders are made. Text is UTF-8.

    Args:
        path: the file; an existing one is replaced. A device or pipe is written to as it is.
        content: bytes, or text.

    Raises:
        OutputError: it could not be written; an existing file is untouched.
    """
    data = content.encode("utf-8") if isinstance(content, str) else content
    made: list[Path] = []
    temporary: Path | None = None
    try:
        if path.is_dir():
            raise OutputError(f"{path} is a folder, but a file must be written there; choose another name")
        if path.exists() and not path.is_file():
            path.write_bytes(data)
            return
        target = _resolved(path)
        _make(target.parent, made)
        temporary = _beside(target, ".part")
        _write(temporary, data)
        temporary.replace(target)
    except OSError as error:
        raise unwritable(path, error) from error
    finally:
        if temporary is not None:
            temporary.unlink(missing_ok=True)
        _unmake(made)


def write_together(folder: Path, contents: Mapping[str, bytes | str]) -> None:
    """Write several files into a folder that may hold others, all of them or none.

    Args:
        folder: made where it is missing.
        contents: name within the folder → content; text is UTF-8. Existing files of these names are replaced.

    Raises:
        OutputError: one could not be written; existing files are untouched.
    """
    waiting: list[tuple[Path, Path]] = []
    place, made = folder, list[Path]()
    try:
        for name, content in contents.items():
            place = folder / name
            if place.is_dir():
                raise OutputError(f"{place} is a folder, but a file must be written there; choose another name")
            _make(place.parent, made)
            waiting.append((_beside(place, ".part"), place))
            _write(waiting[-1][0], content.encode("utf-8") if isinstance(content, str) else content)
        _replace_all(waiting)
    except OSError as error:
        raise unwritable(place, error) from error
    finally:
        for written, _ in waiting:
            written.unlink(missing_ok=True)
        _unmake(made)


def _replace_all(waiting: Sequence[tuple[Path, Path]]) -> None:
    """Move every (file, place); where one cannot be moved, or somebody interrupts, all places hold what they held."""
    kept: list[tuple[Path, Path, bool]] = []
    try:
        for written, place in waiting:
            kept.append((place, _beside(place, ".part"), os.path.lexists(place)))
            if kept[-1][2]:
                _second_name(place, kept[-1][1])
            written.replace(place)
    except BaseException:
        for place, before, existed in reversed(kept):
            with contextlib.suppress(OSError):
                if os.path.lexists(before):
                    before.replace(place)
                elif not existed:
                    place.unlink(missing_ok=True)
        raise
    finally:
        for _, before, _ in kept:
            before.unlink(missing_ok=True)


def _second_name(place: Path, other: Path) -> None:
    """Another name for the file at a place, or a copy where there are no such names."""
    try:
        os.link(place, other, follow_symlinks=False)
    except OSError:
        try:
            shutil.copy2(place, other, follow_symlinks=False)
        except BaseException:
            other.unlink(missing_ok=True)
            raise


def write_run(out: Path, contents: Mapping[str, Callable[[Path], None]]) -> None:
    """Write a run folder, whole or not at all; an existing run folder is replaced whole.

    Args:
        out: the folder. It may be new, empty, or a run folder (one of ``MARKS`` lies in it).
        contents: name within the folder → what writes it, given the path to write to. Called in order.

    Raises:
        OutputError: it could not be written, or ``out`` holds something else; what was there is untouched.
    """
    check_replaceable(out)
    made: list[Path] = []
    temporary: Path | None = None
    try:
        target = _resolved(out)
        _make(target.parent, made)
        temporary = _beside(target, ".part")
        temporary.mkdir()
        for name, write in contents.items():
            (temporary / name).parent.mkdir(parents=True, exist_ok=True)
            write(temporary / name)
        _swap(temporary, target)
    except OSError as error:
        raise unwritable(out, error) from error
    except OutputError as error:
        # Raised by a writer, so it names the temporary path, which nobody asked for.
        if isinstance(error.__cause__, OSError):
            raise unwritable(out, error.__cause__) from error
        raise
    finally:
        if temporary is not None:
            shutil.rmtree(temporary, ignore_errors=True)
        _unmake(made)


def check_replaceable(out: Path) -> None:
    """Refuse a destination that must not be replaced; called before a long run as well as after it.

    Args:
        out: the run folder to be written.

    Raises:
        OutputError: ``out`` is a file, the working folder or one above it, or a folder that is not a run's.
    """
    try:
        if not out.exists():
            if out.is_symlink():
                raise OutputError(f"{out} is a link that leads nowhere; choose another folder for --out")
            _check_parent(out)
            return
        if not out.is_dir():
            raise OutputError(f"{out} is a file, but a run is a folder; choose another name for --out")
        target = out.resolve()
        if Path.cwd().is_relative_to(target):
            raise OutputError(f"{out} holds the working folder, which a run would replace whole; name a folder inside it")
        held = sorted(entry.name for entry in target.iterdir())
        if held and not os.access(target, os.W_OK | os.X_OK, effective_ids=os.access in os.supports_effective_ids):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))  # it could be put aside, and never removed
    except OSError as error:
        raise unwritable(out, error) from error
    if held and not set(MARKS) & set(held):
        shown = ", ".join(held[:3]) + (f" and {len(held) - 3} more" if len(held) > 3 else "")
        raise OutputError(
            f"{out} is not a run folder (it holds {shown}), and a run replaces its folder whole; "
            "choose another folder for --out, or empty this one"
        )


def _check_parent(out: Path) -> None:
    parent = next(folder for folder in out.resolve().parents if folder.exists())
    if not parent.is_dir():
        raise unwritable(out, NotADirectoryError(errno.ENOTDIR, ""))
    if not os.access(parent, os.W_OK | os.X_OK):
        raise unwritable(out, PermissionError(errno.EACCES, ""))


def unwritable(path: Path, error: OSError) -> OutputError:
    """The sentence for a path that could not be written.

    Args:
        path: as the user named it.
        error: what the system said.
    """
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return OutputError(f"{path} could not be written: the disk is full; free some space or write elsewhere")
    if error.errno == errno.EROFS:
        return OutputError(f"{path} could not be written: the disk is read-only; write elsewhere")
    if error.errno in (errno.EACCES, errno.EPERM):
        return OutputError(f"{path} could not be written: permission denied; write elsewhere or change its permissions")
    if error.errno in (errno.ENOTDIR, errno.EEXIST):
        return OutputError(f"{path} could not be written: a part of the path is a file, not a folder")
    return OutputError(f"{path} could not be written: {error.strerror or error}")


def _swap(new: Path, target: Path) -> None:
    """Move a folder to its place; what lies there makes room, also what a second run puts there meanwhile."""
    old = _beside(target, ".old")
    try:
        while not _moved(new, target):
            _remove(old)
            with contextlib.suppress(FileNotFoundError):
                target.rename(old)
    except BaseException:
        if old.exists() and not target.exists():
            old.rename(target)
        raise
    finally:
        if target.exists():
            _remove(old)


def _moved(new: Path, target: Path) -> bool:
    try:
        new.rename(target)
    except OSError as error:
        if error.errno in (errno.ENOTEMPTY, errno.EEXIST):
            return False
        raise
    return True


def _remove(folder: Path) -> None:
    """Remove a folder; the run is complete, and what cannot be removed of an old one must not make a failure of it."""
    try:
        shutil.rmtree(folder)
    except BaseException as error:
        shutil.rmtree(folder, ignore_errors=True)
        if not isinstance(error, OSError):
            raise


def _beside(target: Path, suffix: str) -> Path:
    """A hidden name of nothing yet, known before anything is made, so that it goes again whenever somebody interrupts."""
    return target.with_name(f".{target.name}.{secrets.token_hex(4)}{suffix}")


def _write(path: Path, data: bytes) -> None:
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666), "wb") as stream:
        stream.write(data)


def _resolved(path: Path) -> Path:
    """Where a path leads; links in a circle are an error of the system's like others, not one of Python's own."""
    try:
        return path.resolve()
    except RuntimeError as error:
        raise OSError(errno.ELOOP, os.strerror(errno.ELOOP)) from error


def _make(folder: Path, made: list[Path]) -> None:
    """Make a folder and those above it; the new ones are added to a list, the deepest first."""
    lacking = [one for one in (folder, *folder.parents) if not one.exists()]
    made[:0] = lacking
    folder.mkdir(parents=True, exist_ok=True)


def _unmake(made: Iterable[Path]) -> None:
    """Remove those folders of a list that are empty: nothing was written there."""
    for folder in made:
        with contextlib.suppress(OSError):
            folder.rmdir()
