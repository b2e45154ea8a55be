"""The Hub's client with two promises: every call ends in time, and every failure is one sentence (HB-07, HB-10).

`huggingface_hub` waits without limit for some answers, retries others for minutes, and raises some forty classes of error from three
libraries. Here a call runs in a thread that nobody has to wait for, and whatever it raises becomes a `HubError` that says what happened
and what to do, with no token in it. The library is imported inside the functions: it reads its environment once, at import.
"""

import contextlib
import contextvars
import logging
import math
import os
import re
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any, Literal, TypeVar

import lunaris

LOGIN = "hf auth login"

T = TypeVar("T")


class HubError(RuntimeError):
    """What the Hub or the way to it refused, as one sentence; `status` is the HTTP status when the Hub answered."""

    def __init__(self, sentence: str, *, status: int | None = None, unreachable: bool = False):
        super().__init__(sentence)
        self.status, self.unreachable = status, unreachable


# --- a client that ends in time ---------------------------------------------------------------------------------------------------


class _NoAnswer(Exception):
    """The Hub was silent for too long."""


class HubClient:
    """`huggingface_hub.HfApi` whose every call ends in time and fails with a HubError.

    `token` None is the one of this machine, False none. `what` is what the calls are about, for the sentence; `prefix` and `suffix` go
    around the reason; `upload_s` is the extra time that calls get which carry the files.
    """

    def __init__(self, token: str | Literal[False] | None, what: str, *, prefix: str = "", suffix: str = "", upload_s: float = 0):
        import huggingface_hub

        self._what, self._prefix, self._suffix, self._upload_s = what, prefix, suffix, upload_s
        self._secrets = {token, os.environ.get("HF_TOKEN"), os.environ.get("HUGGING_FACE_HUB_TOKEN")} - {None, False, ""}
        self._last_sign, self._last_status, self._abandoned = time.monotonic(), None, False
        if isinstance(token, str) and not re.fullmatch(r"[!-~]+", token):
            raise self.error("the token holds a character that no token has; copy it again from huggingface.co/settings/tokens")
        self._api = huggingface_hub.HfApi(token=token, library_name="lunaris", library_version=lunaris.__version__)

    def __getattr__(self, name: str) -> Callable:
        method = getattr(self._api, name)
        extra_s = self._upload_s if "upload" in name or "commit" in name else 0
        return lambda *args, **kwargs: self.run(lambda _: method(*args, **kwargs), extra_s=extra_s)

    def has_token(self) -> bool:
        from huggingface_hub import get_token

        token = self._api.token or self.run(lambda _: get_token())
        self._secrets |= {token} - {None}
        return bool(token)

    def beat(self) -> None:
        """A sign of life from the Hub: the time-out starts anew. Ends the thread of a call that nobody waits for any more."""
        if self._abandoned:
            raise _NoAnswer
        self._last_sign = time.monotonic()

    def run(self, call: Callable[[Any], T], *, extra_s: float = 0) -> T:
        """call(HfApi), in a thread of its own, so that a Hub that hangs in whatever layer cannot hold the caller.

        HubError when the time-out and `extra_s` go by without an end or a `beat`.
        """
        outcome: dict[str, Any] = {}
        done = threading.Event()

        def work() -> None:
            _thread.notice = self._notice
            try:
                outcome["value"] = call(self._api)
            except BaseException as error:
                outcome["error"] = error
            done.set()

        limit = timeout() + extra_s
        self._last_sign, self._last_status = time.monotonic(), None
        with _quiet():
            threading.Thread(target=contextvars.copy_context().run, args=(work,), name="lunaris-hub", daemon=True).start()
            while not done.wait(max(0.01, self._last_sign + limit - time.monotonic())):
                if time.monotonic() - self._last_sign >= limit:
                    self._abandoned = True
                    raise self._gave_up()
        if "error" in outcome:
            raise self._translated(outcome["error"])
        return outcome["value"]

    def error(self, reason: str, *, status: int | None = None, unreachable: bool = False) -> HubError:
        """A HubError with this reason, every token blotted out."""
        for secret in self._secrets:
            reason = reason.replace(secret, "hf_***")
        reason = re.sub(r"\bhf_(oauth_)?[A-Za-z0-9]{20,}", "hf_***", reason)
        return HubError(f"{self._prefix}{reason}{self._suffix}", status=status, unreachable=unreachable)

    def _notice(self, message: str) -> None:
        """Remember the status that the client retries on: "no answer" would be the wrong word for a Hub that says 503 all the time."""
        match = re.search(r"HTTP Error (\d{3})", message)
        self._last_status = int(match[1]) if match else self._last_status

    def _gave_up(self) -> HubError:
        status = self._last_status
        reason = _status_reason(status, self._what, "") if status else reason_for(_NoAnswer(), self._what)
        return self.error(reason, status=status, unreachable=True)

    def _translated(self, error: BaseException) -> BaseException:
        if isinstance(error, HubError) or not isinstance(error, Exception) or _is_ours(error):
            return error
        # Not linked to the client's error, whose text may quote a header, and with it the token.
        root = root_of(error)
        return self.error(
            reason_for(root, self._what, anonymous=self._api.token is False), status=_status(root), unreachable=_unreachable(root)
        )


_thread = threading.local()  # .notice: what hears the client's warnings in a thread of ours


def _hear(record: logging.LogRecord) -> bool:
    """Log filter: the client's warnings in our threads are heard, not shown; we say it in one sentence."""
    notice = getattr(_thread, "notice", None)
    if notice is None or record.levelno >= logging.ERROR:
        return True
    notice(record.getMessage())
    return False


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """No log lines of the client from our threads (for good: one that was given up goes on for a while), no bars off a terminal."""
    from huggingface_hub.utils import are_progress_bars_disabled, disable_progress_bars, enable_progress_bars

    for handler in logging.getLogger("huggingface_hub").handlers:
        handler.addFilter(_hear)  # adding it twice is adding it once
    if are_progress_bars_disabled() or sys.stderr.isatty():
        yield
        return
    disable_progress_bars()
    try:
        yield
    finally:
        enable_progress_bars()


def _is_ours(error: Exception) -> bool:
    """Raised by this package inside a call: a sentence already, or a bug that must stay visible."""
    trace = error.__traceback__
    while trace and trace.tb_next:
        trace = trace.tb_next
    return trace is not None and trace.tb_frame.f_globals.get("__name__", "").startswith("lunaris.")


# --- what it raises, in one sentence ----------------------------------------------------------------------------------------------


def root_of(error: BaseException) -> BaseException:
    """The failure inside the wrappers that the client puts around it (an upload in a thread, a look into the cache)."""
    while error.__cause__ is not None and _status(error) is None and _names(error) & {"RuntimeError", "LocalEntryNotFoundError"}:
        error = error.__cause__
    return error


def _names(error: BaseException) -> set[str]:
    """The names of an error's classes. The HTTP library under the client changes between its versions, the class names do not."""
    return {cls.__name__ for cls in type(error).__mro__}


def _status(error: BaseException) -> int | None:
    return getattr(getattr(error, "response", None), "status_code", None)


_NO_WAY = {"TransportError", "ConnectionError", "OfflineModeIsEnabled", "LocalEntryNotFoundError", "gaierror", "_NoAnswer"}


def _unreachable(error: BaseException) -> bool:
    """Whether the Hub could not be asked, rather than said no."""
    status = _status(error)
    return bool(_names(error) & _NO_WAY) if status is None else status >= 500 or status in (408, 429)


def reason_for(error: BaseException, what: str, *, anonymous: bool = False) -> str:
    """Why a call to the Hub about `what` failed and what to do, for everything that the client is known to raise.

    `anonymous`: asked without a token on purpose, for somebody who has no terminal to log in with.
    """
    names, status, said = _names(error), _status(error), _said(error)
    if "_NoAnswer" in names or "TimeoutException" in names:
        return f"the Hub did not answer within {timeout():g} s for {what}; check the network, or raise LUNARIS_HUB_TIMEOUT"
    if "OfflineModeIsEnabled" in names:
        return f"the network is off (HF_HUB_OFFLINE), which {what} needs; unset it"
    if "DisabledRepoError" in names:
        return f"{what} was disabled on the Hub"
    if anonymous and (names & {"RepositoryNotFoundError", "GatedRepoError"} or status == 401):
        return f"the Hub has no {what} that everybody may see; check the name, or choose a public one"
    if "LocalTokenNotFoundError" in names:
        return f"{what} needs a Hugging Face token; log in with `{LOGIN}`"
    if names & {"DeviceCodeError", "OIDCError"}:
        return f"the login to the Hub failed ({said}); log in again with `{LOGIN}`"
    if "GatedRepoError" in names:
        return f"{what} is gated and this account has no access yet; ask for it on its page, then log in with `{LOGIN}`"
    if "RepositoryNotFoundError" in names:
        return f"the Hub has no {what}, or it is private and this account may not see it; check the name, or log in with `{LOGIN}`"
    if "RevisionNotFoundError" in names:
        return f"the Hub has no such revision of {what}; check the tag, branch or commit id"
    if "RemoteEntryNotFoundError" in names:
        return f"a file of {what} is missing on the Hub ({said})"
    if status is not None:
        return _status_reason(status, what, said)
    if "JSONDecodeError" in names or "FileMetadataError" in names:
        return f"what answered for {what} is not a Hugging Face Hub; check HF_ENDPOINT and the proxy"
    if "ProxyError" in names:
        return f"the proxy refused the way to the Hub ({said}); check HTTPS_PROXY"
    if "ConnectionError" in names and "xet" in said.lower():
        return f"the Hub's store for large files (Xet) failed for {what} ({said}); set HF_HUB_DISABLE_XET=1, which goes round it"
    if names & {"TransportError", "ConnectionError", "gaierror", "LocalEntryNotFoundError"}:
        return f"the Hub cannot be reached for {what} ({said}); check the network"
    if isinstance(error, OSError) and error.strerror:
        cause = f"{error.strerror}: {error.filename}" if error.filename else error.strerror
        return f"the download cache cannot be used ({cause}); free some space or set HF_HOME to a folder that you can write to"
    if "HFValidationError" in names or isinstance(error, ValueError):
        return f"the Hub's client refused {what}: {said}"
    return f"{type(error).__name__} for {what}: {said}"


def _status_reason(status: int, what: str, said: str) -> str:
    if status == 401:
        return f"the Hub refused the token (401); make a new one on huggingface.co/settings/tokens and log in with `{LOGIN}`"
    if status == 402:
        return f"the Hub asks for a paid plan for {what} (402: {said})"
    if status == 403:
        return f"this token may not write to {what} (403: {said}); use a token with write access and a name in your own account"
    if status in (409, 412):
        return f"{what} was changed by someone else at the same moment ({status})"
    if status == 413:
        return f"{what} is larger than the Hub takes (413)"
    if status == 429:
        return "the Hub asks to slow down (429); wait a few minutes"
    if status >= 500:
        return f"the Hub has a problem of its own ({status}) with {what}; wait a few minutes"
    return f"the Hub refused {what} ({status}: {said})"


def _said(error: BaseException) -> str:
    """The error's own words on one short line, the server's when it gave some; addresses without their query, which may be a signature."""
    text = getattr(error, "server_message", None) or str(error) or type(error).__name__
    text = re.sub(r"\(Request ID:[^)]*\)|Request ID: \S+", "", text)
    line = " ".join(re.sub(r"(https?://[^\s?'\")]+)\?[^\s'\")]+", r"\1", text).split())
    return line if len(line) <= 200 else f"{line[:197]}..."


def offline() -> bool:
    """Whether the person asked to stay off the network."""
    return any(os.environ.get(name, "").strip().lower() in ("1", "true", "yes", "on") for name in ("LUNARIS_OFFLINE", "HF_HUB_OFFLINE"))


def timeout() -> float:
    """Seconds of silence from the Hub before we give up."""
    text = os.environ.get("LUNARIS_HUB_TIMEOUT", "10")
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not 0 < seconds < math.inf:
        raise ValueError(f"LUNARIS_HUB_TIMEOUT must be a number of seconds above 0, got {text!r}; try 10")
    return seconds
