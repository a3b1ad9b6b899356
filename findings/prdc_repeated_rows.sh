#!/usr/bin/env bash
# prdc: a set of features compared with itself scores 0 if its rows repeat.
#
# Expected: precision, recall and coverage of a set against itself are 1, whatever the rows are. The
#   papers count a sample inside a ball if its distance is at most the radius (Kynkäänniemi et al.,
#   2019, equation 1: f = 1 where the distance <= the distance of the k-th neighbor).
# Instead: the package compares with <. A row that occurs more than k times has k-th neighbors at
#   distance 0, so its ball contains nothing. One-hot codes, quantized images and class labels have
#   such rows: all four numbers are 0 for a perfect generator. Nothing is reported.
# Versions: prdc 0.2, numpy 2.4.6, scikit-learn 1.9.1.
# Output seen, k = 5:
#   distinct rows  precision 1.00 recall 1.00 density 1.00 coverage 1.00
#   one-hot rows   precision 0.00 recall 0.00 density 0.00 coverage 0.00
# Already known: no report of it was found.
# keras_gan counts rows on the surface: `precision_recall` and `density_coverage` in
#   keras_gan/metrics/neighbors.py.
#
# Exit status: 0 if one-hot rows still score 0 and distinct rows 1, 1 otherwise.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet prdc==0.2 numpy==2.4.6 scikit-learn==1.9.1

cat > "$folder/ties.py" <<'PYTHON'
import contextlib
import io
import sys

import numpy as np
from prdc import compute_prdc

distinct = np.random.default_rng(0).normal(size=(200, 10))
one_hot = np.eye(10)[np.arange(200) % 10]
expected = {"distinct": 1.0, "one-hot": 0.0}
changed = False
for name, rows in (("distinct", distinct), ("one-hot", one_hot)):
    with contextlib.redirect_stdout(io.StringIO()):
        scores = compute_prdc(real_features=rows, fake_features=rows.copy(), nearest_k=5)
    print(f"{name + ' rows':14}", *(f"{key} {value:.2f}" for key, value in scores.items()))
    changed |= any(abs(scores[key] - expected[name]) > 1e-9 for key in ("precision", "recall", "coverage"))
sys.exit(changed)
PYTHON
"$folder/venv/bin/python" "$folder/ties.py"
