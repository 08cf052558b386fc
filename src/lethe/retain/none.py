"""No retain term: retain rows are not even drawn."""

from lethe.method import RetainTerm


class NoRetain(RetainTerm):
    rows = False
