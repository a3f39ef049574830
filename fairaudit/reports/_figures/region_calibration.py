"""Region calibration: of how many patches a region classifier is right, where it is as sure as that."""

from __future__ import annotations

from collections.abc import Sequence

from fairaudit.reports._figures.canvas import MUTED, RULE, SERIES, Picture, canvas, picture


def region_calibration(
    attribute: str, bins: Sequence[tuple[int, float, float]], error: float, temperature: float, images: int
) -> Picture:
    """Draw a reliability diagram with the number of patches below it.

    Args:
        attribute: that the classifier tells.
        bins: patches, mean confidence and share classified rightly of each bin of equal width, in order.
        error: expected calibration error over the bins.
        temperature: that logits were divided by.
        images: whose patches these are.
    """
    held = [(n, score, share) for n, score, share in bins if n]
    patches, width = sum(n for n, _, _ in held), 1 / max(1, len(bins))
    most = max((n for n, _, _ in held), default=1)
    with canvas(4.6, 4.4) as figure:
        above, below = figure.subplots(2, 1, sharex=True, gridspec_kw={"height_ratios": (3, 1)})
        above.plot([0, 1], [0, 1], color=RULE, linewidth=1)
        above.text(0.03, 0.07, "as right as sure", color=MUTED, fontsize=8, rotation=45, transform_rotates_text=True)
        sizes = [6 + 60 * n / most for n, _, _ in held]
        above.scatter([x for _, x, _ in held], [y for _, _, y in held], s=sizes, color=SERIES[0], linewidths=0)
        above.set(xlim=(0, 1), ylim=(0, 1), ylabel="share classified rightly")
        places = [(i + 0.5) * width for i in range(len(bins))]
        below.bar(places, [n for n, _, _ in bins], width=width, color=SERIES[0])
        below.set(xlabel="confidence (largest softmax score)", ylabel="patches")
        below.yaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
    finding = f"Confidence is off by {error:.3f} on average"
    return picture(
        figure,
        f"reliability {attribute}",
        f"{finding}: {attribute} told from single patches",
        f"{finding}, over {patches:,} patches of {images:,} images. Marks on the diagonal would be as right as sure.",
        f"Expected calibration error over {len(bins)} bins; logits divided by {temperature:.3g}. "
        "Larger marks have more patches.",
    )
