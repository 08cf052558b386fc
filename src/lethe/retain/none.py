"""No retain term: retain rows are not even drawn."""

from lethe.methods.contract import RetainTerm


class NoRetain(RetainTerm):
    rows = False
