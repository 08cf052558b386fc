"""Runs: fine-tuning, unlearning, searches."""
