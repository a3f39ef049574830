"""The command line as a whole: which commands there are, and how every ending becomes an exit code."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from functools import cache
from time import perf_counter
from typing import Annotated

import typer

from fairaudit import __version__
from fairaudit.cli.attribute import attribute
from fairaudit.cli.audit import audit
from fairaudit.cli.compare import compare
from fairaudit.cli.data import data
from fairaudit.cli.data_subset import subset
from fairaudit.cli.demo import demo
from fairaudit.cli.embed import embed
from fairaudit.cli.endings import ending
from fairaudit.cli.evaluate import evaluate
from fairaudit.cli.explain import explain
from fairaudit.cli.gate import gate
from fairaudit.cli.list import list_
from fairaudit.cli.merge import merge
from fairaudit.cli.mitigate import mitigate
from fairaudit.cli.plan import plan
from fairaudit.cli.report import report
from fairaudit.cli.signals import Terminated, signals_end_it
from fairaudit.cli.streams import patient_streams, say
from fairaudit.cli.sweep import sweep
from fairaudit.cli.verbose import told
from fairaudit.errors import FairauditError

INTERRUPTED, TERMINATED = 130, 143
# What every misuse of the command line is. Typer has its own copy of Click or depends on it, as its version has it, and
# exports only this descendant.
_USAGE: type[Exception] = next(c for c in typer.BadParameter.__mro__ if c.__name__ == "UsageError")

app = typer.Typer(
    name="fairaudit",
    help="Audit image classifiers for bias: group metrics, disparities with intervals, verdicts for CI.\n\n"
    "Exit codes: 0 pass, 1 a rule failed, 2 the command could not run, 3 inconclusive, 70 a fault of fairaudit.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(asked: bool) -> None:
    if asked:
        typer.echo(f"fairaudit {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    context: typer.Context,
    version: Annotated[  # noqa: ARG001 - its callback acts before
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and exit.")
    ] = False,
    verbose: Annotated[
        bool, typer.Option("--verbose", "-v", help="Say on stderr how long a command took, and with which versions.")
    ] = False,
) -> None:
    if verbose:
        began = perf_counter()
        context.call_on_close(lambda: say(told(perf_counter() - began)))


# Typer reads every flag of every command anew for each line of words: once is enough for a process that runs many.
_command = cache(typer.main.get_command)

app.command("evaluate")(evaluate)
app.command("audit")(audit)
app.command("gate")(gate)
app.command("plan")(plan)
app.command("compare")(compare)
app.command("merge")(merge)
app.command("explain")(explain)
app.command("embed")(embed)
app.command("mitigate")(mitigate)
app.command("sweep")(sweep)
app.command("report")(report)
app.command("list")(list_)
data.command("subset")(subset)
app.add_typer(data, name="data")
app.add_typer(attribute, name="attribute")
app.command("demo")(demo)


def run(arguments: Sequence[str] | None = None) -> int:
    """Run the command line.

    Args:
        arguments: the words after ``fairaudit``; None takes the process's own.

    Returns:
        The exit code: 0 pass, 1 a rule failed, 2 usage or input error, 3 inconclusive, 70 internal error, 130 and 143
        for SIGINT and SIGTERM.
    """
    words = sys.argv[1:] if arguments is None else list(arguments)
    with patient_streams(), signals_end_it():
        try:
            code = int(_command(app).main(args=words, prog_name="fairaudit", standalone_mode=False) or 0)
            sys.stdout.flush()
        except _USAGE as error:
            return _misused(error)
        except FairauditError as error:
            say(f"fairaudit: {error}")
            return error.exit_code
        except (KeyboardInterrupt, typer.Abort):
            code = INTERRUPTED
        except Terminated:
            say("fairaudit: terminated")
            return TERMINATED
        except Exception as error:
            return ending(error)
        if code == INTERRUPTED:  # Typer turns Ctrl-C into this code itself, without a word
            say("fairaudit: interrupted")
        return code


def _misused(error: Exception) -> int:
    """Words that are no command line of ours, in the voice of every other error."""
    text = " ".join(str(getattr(error, "format_message", error.__str__)()).split())
    if type(error).__name__ != "NoArgsIsHelpError":  # where the help has been printed already
        say(f"fairaudit: {text[:1].lower()}{text[1:].rstrip('.')}")
    return 2
