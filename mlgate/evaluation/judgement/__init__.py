"""Judging one model's answers, and two models' answers on the same rows; `evaluation.comparison` puts it together."""
