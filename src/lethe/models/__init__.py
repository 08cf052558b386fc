"""From a name to hidden states and generations."""
