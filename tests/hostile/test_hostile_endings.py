"""Endings that nobody foresaw: the machine's faults exit with 2, fairaudit's own with 70."""

from __future__ import annotations

import errno
import os
import sys

import pytest

from fairaudit.__main__ import main
from fairaudit.cli.endings import ending
from tests.cli.conftest import Cli

THE_MACHINE = (
    "ENOSPC", "EDQUOT", "EACCES", "EPERM", "EROFS", "EIO", "ENOENT", "ENAMETOOLONG", "ELOOP", "EMFILE", "ENFILE", "EISDIR",
    "ENOTDIR", "EEXIST", "EBUSY", "ESTALE", "ETIMEDOUT", "EFBIG", "ENOTEMPTY", "EAGAIN",
)  # fmt: skip
OURS = ("EBADF", "EINVAL", "EFAULT", "ESPIPE", "ENOTTY", "ENOTSOCK", "EDOM")


@pytest.mark.parametrize("name", THE_MACHINE)
def test_what_the_system_refuses_is_the_users_world(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    number = getattr(errno, name)
    assert ending(OSError(number, os.strerror(number), "some/file")) == 2
    assert capsys.readouterr().err == f"fairaudit: some/file cannot be used: {os.strerror(number)}\n"


@pytest.mark.parametrize("name", OURS)
def test_what_no_program_should_ask_for_is_our_fault(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    number = getattr(errno, name)
    assert ending(OSError(number, os.strerror(number))) == 70
    assert capsys.readouterr().err.startswith("fairaudit: internal error, please report it: OSError: [Errno ")


@pytest.mark.parametrize(
    "error", [OSError("a library's own words"), FileNotFoundError("no number"), OSError(), OSError(99_999, "?")]
)
def test_an_error_without_a_known_number_is_our_fault(error: OSError, capsys: pytest.CaptureFixture[str]) -> None:
    assert ending(error) == 70
    assert capsys.readouterr().err.startswith("fairaudit: internal error, please report it: ")


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        MemoryError("std::bad_alloc"),
        RuntimeError("std::bad_alloc"),
        RuntimeError(". DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes"),
        RuntimeError("data. DefaultCPUAllocator: not enough memory: you tried to allocate 9 bytes."),
        RuntimeError("can't start new thread"),
        ImportError("libtorch_cpu.so: failed to map segment from shared object"),
        ImportError("libgomp.so.1: cannot allocate memory in static TLS block"),
        OSError(errno.ENOMEM, os.strerror(errno.ENOMEM)),
    ],
)  # fmt: skip
def test_too_little_memory_is_told_as_such(error: Exception, capsys: pytest.CaptureFixture[str]) -> None:
    assert ending(error) == 2
    said = capsys.readouterr().err
    assert said.startswith("fairaudit: there is not enough memory")
    assert said.count("\n") == 1


@pytest.mark.parametrize(
    "error", [ImportError("no module named x"), RuntimeError("shapes differ"), KeyError("out of memory")]
)
def test_what_only_sounds_like_it_is_our_fault(error: Exception) -> None:
    assert ending(error) == 70


@pytest.mark.parametrize(("number", "code"), [(errno.EACCES, 2), (errno.EBADF, 70)])
def test_a_command_that_meets_an_unexpected_one(number: int, code: int, cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr("fairaudit.plugins.names", refuse)
    done = cli("list", "losses")
    assert (done.code, done.out, done.err.count("\n")) == (code, "", 1)


@pytest.mark.parametrize("error", [MemoryError(), ImportError("libpython.so: failed to map segment from shared object")])
def test_too_little_memory_to_start_is_a_sentence(
    error: Exception, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def starved() -> int:
        raise error

    monkeypatch.setattr("fairaudit.cli.app.run", starved)
    monkeypatch.setattr("os._exit", sys.exit)
    with pytest.raises(SystemExit) as ended:
        main()
    assert (ended.value.code, capsys.readouterr().err) == (2, "fairaudit: there is not enough memory to start\n")


def test_a_broken_installation_is_no_failed_rule(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken() -> int:
        raise ImportError("no module named x")

    monkeypatch.setattr("fairaudit.cli.app.run", broken)
    with pytest.raises(SystemExit) as ended:
        main()
    said = "fairaudit: it cannot start, install it again: no module named x\n"
    assert (ended.value.code, capsys.readouterr().err) == (70, said)
