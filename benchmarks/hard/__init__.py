"""Hard evidence: detectors' gross errors planted into made people, and what becomes of the fits."""
