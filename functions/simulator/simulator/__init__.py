"""A card processor to develop and test against: it authorises, captures, voids and refunds as a real one does.

It shares nothing with its clients but HTTP. It has its own database, so the charges it counts are evidence that is
independent of what a client believes it did.
"""
