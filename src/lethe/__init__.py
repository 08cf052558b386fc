"""Token-level unlearning."""
