"""Files and run folders that appear whole or not at all.

Everything is written beside its destination under a temporary name and then renamed, so that a full disk, an error or
Ctrl-C leaves what was there before.
"""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import tempfile
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
    try:
        if path.is_dir():
            raise OutputError(f"{path} is a folder, but a file must be written there; choose another name")
        if path.exists() and not path.is_file():
            path.write_bytes(data)
            return
        target = _resolved(path)
        _make(target.parent, made)
        handle, name = tempfile.mkstemp(prefix=f".{target.name}.", suffix=".part", dir=target.parent)
    except BaseException as error:
        _unmake(made)
        if isinstance(error, OSError):
            raise unwritable(path, error) from error
        raise
    temporary = Path(name)
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(data)
        temporary.chmod(0o666 & ~_umask())
        temporary.replace(target)
    except OSError as error:
        raise unwritable(path, error) from error
    finally:
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
            handle, temporary = tempfile.mkstemp(prefix=f".{place.name}.", suffix=".part", dir=place.parent)
            waiting.append((Path(temporary), place))
            with os.fdopen(handle, "wb") as stream:
                stream.write(content.encode("utf-8") if isinstance(content, str) else content)
            Path(temporary).chmod(0o666 & ~_umask())
        _replace_all(waiting)
    except OSError as error:
        raise unwritable(place, error) from error
    finally:
        for written, _ in waiting:
            written.unlink(missing_ok=True)
        _unmake(made)


def _replace_all(waiting: Sequence[tuple[Path, Path]]) -> None:
    """Move every (file, place); where one cannot be moved, or somebody interrupts, all places hold what they held."""
    kept: list[tuple[Path, Path | None]] = []
    try:
        for written, place in waiting:
            kept.append((place, _second_name(place)))
            written.replace(place)
    except BaseException:
        for place, before in reversed(kept):
            with contextlib.suppress(OSError):
                if before is None:
                    place.unlink(missing_ok=True)
                else:
                    before.replace(place)
        raise
    finally:
        for _, before in kept:
            if before is not None:
                before.unlink(missing_ok=True)


def _second_name(place: Path) -> Path | None:
    """Another name for the file at a place, or a copy where there are no such names; None where there is none."""
    if not place.exists() and not place.is_symlink():
        return None
    handle, name = tempfile.mkstemp(prefix=f".{place.name}.", suffix=".part", dir=place.parent)
    os.close(handle)
    other = Path(name)
    other.unlink()
    try:
        os.link(place, other, follow_symlinks=False)
    except OSError:
        try:
            shutil.copy2(place, other, follow_symlinks=False)
        except BaseException:
            other.unlink(missing_ok=True)
            raise
    return other


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
    try:
        target = _resolved(out)
        _make(target.parent, made)
        temporary = Path(tempfile.mkdtemp(prefix=f".{target.name}.", suffix=".part", dir=target.parent))
    except BaseException as error:
        _unmake(made)
        if isinstance(error, OSError):
            raise unwritable(out, error) from error
        raise
    try:
        temporary.chmod(0o777 & ~_umask())
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
    if not target.exists():
        new.rename(target)
        return
    old = Path(tempfile.mkdtemp(prefix=f".{target.name}.", suffix=".old", dir=target.parent))
    try:
        target.rename(old / target.name)
        new.rename(target)
    except BaseException:
        if (old / target.name).exists():
            (old / target.name).rename(target)
        old.rmdir()
        raise
    # The run is complete; what cannot be removed of the old one must not turn it into a failure.
    with contextlib.suppress(OSError):
        shutil.rmtree(old)


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


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
