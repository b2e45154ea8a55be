"""What a mistake on the command line prints, for the tests of every command."""

from lunaris.cli import main


def error_of(capsys, *words) -> str:
    """The one line that a mistake prints; asserts exit code 2."""
    try:
        code = main(list(map(str, words)))
    except SystemExit as stop:
        code = stop.code
    captured = capsys.readouterr()
    assert code == 2 and captured.err.count("\n") == 1, captured.err
    return captured.err
