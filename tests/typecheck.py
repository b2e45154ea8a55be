"""The checker that runs over lunaris' annotations in every test (pyproject.toml): beartype, with an int welcome where a float is asked for."""

from beartype import BeartypeConf, beartype

check = beartype(conf=BeartypeConf(is_pep484_tower=True))
