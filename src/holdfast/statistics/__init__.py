"""How sure is it? Estimates with intervals for what gates and canaries decide; pure functions over arrays.

estimate       what every method here answers: a value between two bounds, and the rows that would decide
proportions    two versions, right or wrong on the same rows: McNemar's exact test, Tango's interval
ranking        two scores over the same rows: areas under the ROC curve, and DeLong's interval of their difference
resampling     any metric that is a function of sums over rows: the paired bootstrap, by rows or by clusters
scores         which sums those are, for the metrics that have names
several        many questions at once: Holm's adjustment, and bounds that hold together
drift          rows of a reference against rows of now: the population stability index with its scale, and tests

What replicas ask while they answer loads neither numpy nor scipy:

sequential     evidence that a canary has more errors, or that its requests were split wrongly; looked at at any time
ordered        the same for latencies and scores, from histograms
means          the same for the mean of numbers, with an interval
firsts         the first error of each key, where keys are what is assigned
detection      how many requests it takes to find a regression
shift          two distributions, shares, flips and percentiles from counts alone

Nothing here reads or writes, and chance comes from a seed that the caller gives.
"""
