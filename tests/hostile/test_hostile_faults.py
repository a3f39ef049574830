"""Faults at every touch of a file: outputs whole or absent, exit codes right; benchmarks/faults.py has every command."""

from __future__ import annotations

import os
import shutil
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from fairaudit.__main__ import main
from fairaudit.artifacts.folder import write_run, write_together, write_whole
from fairaudit.cli.signals import Terminated, signals_end_it
from fairaudit.errors import OutputError
from tests.benchmarks.faults import COMMANDS
from tests.hostile.injecting import FAULTS, SECOND, armed
from tests.hostile.seeds import make_seeds
from tests.hostile.trials import Trial

pytestmark = [pytest.mark.filterwarnings("default"), pytest.mark.training]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("faults") / "place"
    make_seeds(folder)
    shutil.copytree(folder / "plain", folder / "again")
    return folder


@pytest.fixture(scope="module")
def trials() -> dict[str, Trial]:
    """Each is made where it is first asked for: it runs its command five times."""
    return {}


@pytest.mark.parametrize("fault", [*FAULTS, SECOND])
@pytest.mark.parametrize("again", [False, True], ids=["new", "again"])
@pytest.mark.parametrize("command", ["audit", "report"])
def test_faults_at_every_touch(
    command: str, fault: str, again: bool, place: Path, trials: dict[str, Trial], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(place)
    trial = trials.get(command) or trials.setdefault(command, Trial(COMMANDS[command], place))
    assert trial.touches[again] > 2
    fell = [(at, said) for at in range(1, trial.touches[again] + 1) if (said := trial.fault(fault, at, again))]
    assert fell == []


def test_an_interruption_while_the_program_starts_is_no_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted() -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr("fairaudit.cli.app.run", interrupted)
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 130


@pytest.mark.parametrize(("number", "raised"), [(signal.SIGINT, KeyboardInterrupt), (signal.SIGTERM, Terminated)])
def test_a_signal_that_arrives_in_a_finalizer_is_not_lost(number: int, raised: type[BaseException]) -> None:
    """As it does while figures are drawn, which make and drop weak references by the thousand."""

    class Dropped:
        def __del__(self) -> None:
            os.kill(os.getpid(), number)

    def worked() -> None:
        dropped = Dropped()
        del dropped
        time.sleep(5)

    with signals_end_it(), pytest.raises(raised):
        worked()
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL


def test_files_that_replace_others_do_so_together(tmp_path: Path) -> None:
    old, new = {"a.txt": "old a", "c.txt": "old c"}, {"a.txt": "new a", "b.txt": "new b", "c.txt": "new c"}

    def there() -> dict[str, str]:
        return {path.name: path.read_text() for path in tmp_path.iterdir()}

    write_together(tmp_path, old)
    with armed(tmp_path) as trap:
        write_together(tmp_path, new)
    for at in range(1, trap.seen + 1):
        for path in tmp_path.iterdir():
            path.unlink()
        write_together(tmp_path, old)
        failed = False
        try:
            with armed(tmp_path, "full", at):
                write_together(tmp_path, new)
        except OutputError:
            failed = True
        assert there() == (old if failed else new), at


def test_folders_made_for_nothing_go_again(tmp_path: Path) -> None:
    def full(path: Path) -> None:
        raise OSError(28, "No space left on device")

    writes: tuple[Callable[[Path], None], ...] = (
        lambda folder: write_whole(folder / "a" / "b.txt", "text"),
        lambda folder: write_together(folder, {"a/b.txt": "text", "c.txt": "text"}),
    )
    for k, write in enumerate(writes):
        folder = tmp_path / str(k) / "deep"
        with armed(tmp_path) as trap:
            write(folder)
        touches = trap.seen
        shutil.rmtree(tmp_path / str(k))
        for at in range(1, touches + 1):
            said = ""
            try:
                with armed(tmp_path, "full", at):
                    write(folder)
            except OutputError as error:
                said = str(error)
            assert ("the disk is full" in said) == (list(tmp_path.iterdir()) == []), at
            assert said or (folder / "a" / "b.txt").read_text() == "text", "a folder that is there need not be made"
            shutil.rmtree(tmp_path / str(k), ignore_errors=True)
    with pytest.raises(OutputError, match="the disk is full"):
        write_run(tmp_path / "x" / "y", {"a.txt": full})
    assert list(tmp_path.iterdir()) == []
