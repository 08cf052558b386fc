"""From models to the rows of a study's results."""
