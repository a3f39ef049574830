#!/bin/sh
# The whole audit of Mahadev & Chakravarti (2021): two models side by side on MR2, by race and by gender, women alone, and
# what each model looked at. Put recogniser.pt, baseline.pt and data/mr2 here. Verdicts are shown and stop nothing
# (--exit-zero): 74 faces decide few rules.
set -e
fairaudit data profile mr2 --by race,gender --by gender
fairaudit evaluate --config s3_recogniser.toml --exit-zero --out runs/s3/recogniser
fairaudit evaluate --config s3_baseline.toml --exit-zero --out runs/s3/baseline
# Women alone, each race against the European one (there are no men to compare with, so the rules are others):
fairaudit evaluate --config s3_recogniser.toml --where 'gender == "Female"' --by race --privileged race=European \
  --rule 'error_rate difference by race <= 0.05' --exit-zero --out runs/s3/recogniser-women
fairaudit evaluate --config s3_baseline.toml --where 'gender == "Female"' --by race --privileged race=European \
  --rule 'error_rate difference by race <= 0.05' --exit-zero --out runs/s3/baseline-women
# Who is recognised better by which, image by image:
fairaudit compare runs/s3/baseline runs/s3/recogniser --by race --by gender --by race,gender --min-support 5 \
  --out runs/s3/both.json
# What each looked at; explain.html shows it, explain.json has the numbers:
fairaudit explain runs/s3/recogniser --out runs/s3/recogniser-looks
fairaudit explain runs/s3/baseline --out runs/s3/baseline-looks
