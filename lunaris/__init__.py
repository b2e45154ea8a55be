"""Lunaris: small generative models to try in a browser, retrain in a notebook and copy as a Space.

Importing this package loads nothing heavy; a family is imported when it is used.
"""

__version__ = "0.2.0"

FAMILIES = ("pixel", "moc")
