"""The checker that runs over lunaris' annotations in every test (pyproject.toml): beartype, an int being welcome as a float."""

from beartype import BeartypeConf, beartype

check = beartype(conf=BeartypeConf(is_pep484_tower=True))
