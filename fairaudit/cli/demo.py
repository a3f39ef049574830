"""``fairaudit demo``: the main job on drawn faces, without downloads, in under two minutes."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from fairaudit.cli import options as o
from fairaudit.cli.show import show
from fairaudit.cli.streams import say, write_out

Out = Annotated[Path, typer.Option("--out", "-o", help="Folder of the experiment.")]


def demo(out: Out = Path("runs/demo"), seed: o.Seed = None, quiet: o.Quiet = False) -> int:
    """Train on a biased sample of drawn faces, audit, retrain with max-group, audit again, compare.

    Takes under two minutes on two cores; nothing is downloaded. Exits 0 whatever the verdicts.
    """
    from fairaudit.cli.progress import training_progress
    from fairaudit.workflows.demo import BASELINE, MITIGATION, RULE
    from fairaudit.workflows.demo import demo as run
    from fairaudit.workflows.study import Watch

    if not quiet:
        say("drawn faces: 90 % of the women to train on wear glasses, 10 % of the men; half of both in the test")
    with training_progress(show=not quiet) as (arm, progress):
        watch = Watch(say=(lambda _: None) if quiet else say, arm=arm, progress=progress)
        found = run(out, seed=seed or 0, command=["fairaudit", *sys.argv[1:]], watch=watch)
    before, after = found.runs
    write_out(f"\n== The model trained by plain cross-entropy ({BASELINE}) ==\n")
    show(found.before, "terminal")
    write_out(f"\n== Retrained with {MITIGATION}, on the same test faces ==\n")
    show(found.comparison, "terminal")
    write_out(
        f"\nThe rule was: {RULE}\n"
        f"  {BASELINE}: {found.before.verdict.value}; {MITIGATION}: {found.after.verdict.value}\n"
        f"See it as a page:       {found.folder}/report.html\n"
        f"Read an audit again:    fairaudit report {after}\n"
        f"Judge it by your rule:  fairaudit gate {after} --rule '{RULE}'\n"
        f"Compare them again:     fairaudit compare {before} {after} --by gender,Eyeglasses\n"
        f"Try more, over seeds:   fairaudit mitigate --loss max-group --loss reweight"
    )
    return 0
