"""Run reports: the page that a run folder holds beside its record, and its figures as files; torch is not needed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fairaudit.artifacts.folder import write_run, write_whole
from fairaudit.artifacts.records import AUDIT, read_audit, read_json
from fairaudit.errors import UsageError
from fairaudit.results import AuditResult
from fairaudit.results.gallery import Gallery

if TYPE_CHECKING:
    from fairaudit.reports._pictures import Pictures

PAGE, FIGURES = "report.html", "figures"
"""The page, and the folder of its figures, in a run folder."""

Writer = Callable[[Path], None]


def write_run_and_report(
    out: Path,
    contents: Mapping[str, Writer],
    result: AuditResult,
    record: Mapping[str, Any],
    report: bool = True,
    gallery: Gallery | None = None,
) -> None:
    """Write a run folder with its page and figures, whole or not at all.

    Args:
        out: the folder, see ``write_run``.
        contents: name within the folder → what writes it.
        result: the audit that the page is about.
        record: the run's provenance, which names model and data.
        report: whether there is a page.
        gallery: faces that the page shows; None for none.

    Raises:
        OutputError: it could not be written; what was there is untouched.
    """
    try:
        drawn = report_files(result, record, gallery) if report else {}
    except Exception:
        # A defect in a figure must not cost what may have taken hours to compute.
        write_run(out, contents)
        raise
    write_run(out, {**contents, **drawn})


def report_files(result: AuditResult, record: Mapping[str, Any], gallery: Gallery | None = None) -> dict[str, Writer]:
    """The page and every figure of it, as SVG and PNG.

    Args:
        result: the audit.
        record: the run's provenance.
        gallery: faces that the page shows.

    Returns:
        Name within the run folder → what writes it.
    """
    # Only here: who asks for no page waits for neither templates nor figures.
    from fairaudit.reports._pictures import pictures
    from fairaudit.reports.html import as_stored

    result = as_stored(result)
    drawn = pictures(result)
    files: dict[str, Writer] = {PAGE: partial(write_whole, content=_document(result, drawn, record, gallery))}
    for picture in drawn.every:
        files[f"{FIGURES}/{picture.name}.svg"] = partial(write_whole, content=picture.svg())
        files[f"{FIGURES}/{picture.name}.png"] = lambda path, one=picture: write_whole(path, one.png())  # type: ignore[misc]
    return files


def _document(result: AuditResult, drawn: Pictures, record: Mapping[str, Any], gallery: Gallery | None) -> str:
    from fairaudit.reports._gallery import gallery_section
    from fairaudit.reports.html import document

    model, data = described(record)
    besides = () if gallery is None else (gallery_section(gallery),)
    return document(result, drawn, model=model, data=data, besides=besides)


def stored_page(run: Path, each: int, images: Path | None = None) -> str:
    """The page of a stored run with a gallery.

    Args:
        run: its folder.
        each: images of each kind and group.
        images: folder that row ids are paths below; None where the run says which dataset it was.

    Raises:
        UsageError: there is no folder of a run, or nobody says where the images are.
        ArtifactError: the run cannot be read.
        DataError: no image can be read.
    """
    from fairaudit.reports._pictures import pictures
    from fairaudit.workflows.gallery import stored_gallery

    if not (run / AUDIT).is_file():
        raise UsageError(f"--gallery needs the folder of an audit with its predictions; {run} is none")
    result = read_audit(run)
    if not result.groupings:
        raise UsageError(f"--gallery shows faces by group, and {run} has no grouping")
    gallery = stored_gallery(run, result.groupings[0].by, each, images)
    return _document(result, pictures(result), provenance_of(run), gallery)


def provenance_of(run: Path) -> Mapping[str, Any]:
    """What ``run.json`` says; nothing where there is none.

    Args:
        run: a run folder.
    """
    file = run / "run.json"
    if not file.is_file():
        return {}
    record = read_json(file)
    return record if isinstance(record, dict) else {}


def described(record: Mapping[str, Any]) -> tuple[str, str]:
    """How a page names a run's model and its data: by file and by digest, without the folders of a machine.

    Args:
        record: ``run.json``; what it does not tell is empty.
    """
    checkpoint, images = record.get("checkpoint"), record.get("data")
    model = data = ""
    if isinstance(checkpoint, Mapping):
        architecture, layer = record.get("architecture") or {}, record.get("layer")
        parts = [_file(checkpoint.get("path")), architecture.get("name"), layer and f"layer {layer}", _digest(checkpoint)]
        model = ", ".join(filter(None, parts))
    if isinstance(images, Mapping):
        data = f"{images.get('name')}, {images.get('images'):,} images"
    elif "predictions" in record:
        data = ", ".join(filter(None, [_file(record["predictions"]), _digest(record)]))
    elif "embeddings" in record:
        made = record.get("made") or {}
        parts = [made.get("model"), made.get("architecture"), made.get("layer") and f"layer {made['layer']}"]
        model = ", ".join(str(part) for part in parts if part)
        files = ", ".join(_file(one["path"]) for one in record["embeddings"])
        data = ", ".join(str(part) for part in (made.get("data"), files) if part)
    elif "audits" in record:
        data = f"{len(record['audits'])} audits merged: {', '.join(_file(path) for path in record['audits'])}"
    return model, data


def _file(path: object) -> str:
    """The last part of a path; of an audit.json in a run folder, the folder's."""
    found = Path(str(path or ""))
    return found.parent.name or found.name if found.name == "audit.json" else found.name


def _digest(record: Mapping[str, Any]) -> str:
    return f"SHA-256 {record['sha256'][:8]}…" if record.get("sha256") else ""
