"""How sure is it? Estimates with intervals for what gates and canaries decide; pure functions over arrays.

estimate       what every method here answers: a value between two bounds, and the rows that would decide
proportions    two versions, right or wrong on the same rows: McNemar's exact test, Tango's interval
ranking        two scores over the same rows: areas under the ROC curve, and DeLong's interval of their difference
resampling     any metric that is a function of sums over rows: the paired bootstrap, by rows or by clusters
scores         which sums those are, for the metrics that have names
several        many questions at once: Holm's adjustment, and bounds that hold together

Nothing here reads or writes, and chance comes from a seed that the caller gives. Importing it loads numpy and scipy.
"""
