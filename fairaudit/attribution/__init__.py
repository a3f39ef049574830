"""Data attribution: where in pictures an attribute is, found without the model that is audited, and taken out there.

A small network learns the attribute from single patches of the pictures, each with its place; where it is sure, the
attribute shows. ``patches`` cuts, ``region_net`` and ``fit`` learn, ``confidence`` and ``calibrate`` say how sure and
whether rightly, ``maps`` brings it from places to pixels, ``masks`` changes pictures there, ``store`` keeps it all in a
folder.

Source:
    S. De Coninck, W.-C. Wang, S. Leroux, P. Simoens, "Mitigating Bias Using Model-Agnostic Data Attribution", CVPR
    Workshops 2024 (arXiv 2405.05031).
"""
