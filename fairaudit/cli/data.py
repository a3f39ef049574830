"""``fairaudit data``: look at a dataset before looking at a model."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from fairaudit.cli import options as o
from fairaudit.cli import parsing as p
from fairaudit.cli.progress import image_progress
from fairaudit.cli.streams import say, stdout_colour, stdout_width, warn, write_out
from fairaudit.errors import UsageError

if TYPE_CHECKING:
    from fairaudit.workflows.data_reports import Found

INCONCLUSIVE = 3

data = typer.Typer(help="Look at a dataset before looking at a model.", no_args_is_help=True)

Name = Annotated[str, typer.Argument(metavar="NAME", help="Dataset; see 'fairaudit list datasets'.")]
Split = Annotated[str | None, typer.Option("--split", metavar="NAME", help="Default: every image.", rich_help_panel=o.DATA)]
Target = Annotated[
    str | None,
    typer.Option(
        "--target",
        metavar="NAME",
        help="How balanced it is within each group, and what goes with it. Default: the card's.",
        rich_help_panel=o.AUDIT,
    ),
]
Compared = Annotated[
    str | None,
    typer.Option(
        "--target", metavar="NAME", help="Whose classes' sizes are compared. Default: the card's.", rich_help_panel=o.AUDIT
    ),
]
Images = Annotated[
    int,
    typer.Option(
        "--images",
        metavar="N",
        help="How many pictures are looked at for size and brightness, as many of each group as possible; 0 for none.",
        rich_help_panel=o.DATA,
    ),
]
Distance = Annotated[
    int,
    typer.Option(
        "--distance",
        metavar="BITS",
        help="How many of 64 bits two perceptual hashes may differ in, before the pictures themselves are compared.",
        rich_help_panel=o.RUN,
    ),
]
FailOn = Annotated[
    str | None,
    typer.Option(
        "--fail-on",
        metavar="KIND[,KIND]",
        help="Exit 1 where one is found: duplicates, conflicts, leaks, near, near-conflicts, near-leaks, unreadable, "
        "missing, malformed, extra, tiny, blank, imbalance. Default: findings are printed and the exit code is 0.",
        rich_help_panel=o.GATE,
    ),
]
ProfileFormat = Annotated[
    str | None,
    typer.Option("--format", "-f", metavar="NAME", help="terminal, json, markdown or html.", rich_help_panel=o.OUTPUT),
]
CheckFormat = Annotated[
    str | None, typer.Option("--format", "-f", metavar="NAME", help="terminal, json or markdown.", rich_help_panel=o.OUTPUT)
]
Out = Annotated[
    Path | None,
    typer.Option(
        "--out",
        "-o",
        metavar="FILE|DIR",
        help="Write to a file (its suffix says the format) or, in every format, to a folder, instead of stdout.",
        rich_help_panel=o.OUTPUT,
    ),
]


@data.callback()
def _data() -> None:
    pass


@data.command("profile")
def profile(
    name: Name,
    root: o.Root = None,
    split: Split = None,
    by: o.By = None,
    target: Target = None,
    images: Images = 300,
    data_option: o.DataOption = None,
    format_: ProfileFormat = None,
    out: Out = None,
    quiet: o.Quiet = False,
) -> int:
    """Who is in a dataset: images per group, ages, the target's balance, what goes together, how pictures differ.

    fairaudit data profile utkface --root faces/UTKFace --by race,gender

    fairaudit data profile celeba --target Blond_Hair --out profile.html
    """
    from fairaudit.results.profile import Profile
    from fairaudit.workflows.data_reports import check_format, places

    if images < 0:
        raise UsageError(f"--images {images}: write a whole number, 0 for none")
    options = p.data_options(data_option)
    p.check_data_options(options)
    format_ = None if format_ is None else check_format(Profile, format_)
    files = {} if out is None else places(Profile, out, format_)
    from fairaudit.workflows.profile import profile_dataset

    groupings = p.groupings(by) or ()
    with image_progress(not quiet) as progress:
        found = profile_dataset(name, root, split or "all", groupings, target, options, images, progress)
    _hand_over(found, found.notes, files, format_, quiet)
    return 0


@data.command("check")
def check(
    name: Name,
    root: o.Root = None,
    by: o.By = None,
    target: Compared = None,
    distance: Distance = 4,
    data_option: o.DataOption = None,
    fail_on: FailOn = None,
    format_: CheckFormat = None,
    out: Out = None,
    quiet: o.Quiet = False,
) -> int:
    """What is wrong with a dataset on disk: copies, contradictory labels, leaks between splits, broken and missing files.

    Every image of every split is read once. Near-identical images are found by
    a perceptual hash and confirmed on small grey pictures. The exit code is 0
    whatever is found, unless --fail-on says what must not be: 1 where it is
    there, 3 where it could not be looked for because no image was found. 2
    means that the check could not run.

    fairaudit data check utkface --root faces/UTKFace --fail-on duplicates,conflicts
    """
    from fairaudit.results.data_check import DataCheck
    from fairaudit.workflows.data_reports import check_format, places

    options = p.data_options(data_option)
    p.check_data_options(options)
    format_ = None if format_ is None else check_format(DataCheck, format_)
    files = {} if out is None else places(DataCheck, out, format_)
    kinds = p.names(fail_on) or ()
    from fairaudit.workflows.check_data import check_dataset, check_kinds, gate

    check_kinds(kinds)
    with image_progress(not quiet) as progress:
        found = check_dataset(name, root, p.groupings(by) or (), target, options, distance, progress)
    _hand_over(found, found.notes, files, format_, quiet)
    there, unknown = gate(found, kinds)
    if there:
        say(f"fairaudit: found what --fail-on names: {', '.join(there)}")
        return 1
    if unknown:
        say(f"fairaudit: could not look for {', '.join(unknown)}, because no image was found")
        return INCONCLUSIVE
    return 0


def _hand_over(found: Found, notes: tuple[str, ...], files: Mapping[Path, str], format_: str | None, quiet: bool) -> None:
    from fairaudit.workflows.data_reports import text, write

    if not quiet:
        warn(notes)
    if not files:
        write_out(text(found, format_ or "terminal", stdout_width(), stdout_colour()))
        return
    write(found, files)
    if not quiet:
        say(*(f"written: {path}" for path in files))
