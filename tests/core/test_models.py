"""core.models: a model is loaded once, kept while it is used, and gives way to others under the memory budget."""

import threading
import time

import pytest
import torch
from torch import nn

from lunaris.core import hub, models


def checkpoint(folder, value: float = 1.0):
    card = hub.render_card(name="Toy", family="test", what="A toy.", data="None.", licence="mit", command="none")
    hub.save(folder, tensors={"weight": torch.full((250,), value)}, config={"family": "test"}, files={"README.md": card})
    return folder


class Toy(nn.Module):
    """1,000 bytes of weights."""

    def __init__(self, folder):
        super().__init__()
        self.weight = nn.Parameter(hub.load_tensors(folder)["weight"])


@pytest.fixture
def loads():
    """A loader that counts."""
    calls = []

    def load(folder):
        calls.append(folder.name)
        return Toy(folder)

    load.calls = calls
    return load


def test_a_model_asked_for_twice_is_loaded_once(tmp_path, loads):
    cache, ref = models.ModelCache(10_000), str(checkpoint(tmp_path / "a"))
    first, second = (cache.get("test", ref, loads) for _ in range(2))
    assert first is second
    assert loads.calls == ["a"]
    assert first.weights == hub.weight_hash(tmp_path / "a")
    assert (first.size, first.folder) == (1000, tmp_path / "a")
    assert cache.names("test") == [ref]
    assert cache.names("other") == []


def test_the_least_recently_used_model_leaves_when_the_budget_is_full(tmp_path, loads):
    cache = models.ModelCache(2_500)
    a, b, c = (str(checkpoint(tmp_path / name)) for name in "abc")
    for ref in (a, b, a, c):
        cache.get("test", ref, loads)
    assert cache.names("test") == [a, c]
    cache.get("test", b, loads)
    assert loads.calls == ["a", "b", "c", "b"]


def test_a_model_larger_than_the_budget_is_served_all_the_same(tmp_path, loads):
    cache, ref = models.ModelCache(10), str(checkpoint(tmp_path / "a"))
    assert cache.get("test", ref, loads).model.weight.sum() == 250


def test_a_checkpoint_saved_anew_in_its_folder_is_loaded_anew(tmp_path, loads):
    cache, ref = models.ModelCache(10_000), str(checkpoint(tmp_path / "a", 1.0))
    before = cache.get("test", ref, loads)
    time.sleep(0.01)
    checkpoint(tmp_path / "a", 2.0)
    after = cache.get("test", ref, loads)
    assert (before.model.weight[0], after.model.weight[0]) == (1, 2)
    assert before.weights != after.weights


def test_a_failed_load_leaves_the_model_that_was_there(tmp_path, loads):
    cache, ref = models.ModelCache(10_000), str(checkpoint(tmp_path / "a"))
    kept = cache.get("test", ref, loads)
    with pytest.raises(FileNotFoundError, match="no folder"):
        cache.get("test", str(tmp_path / "b"), loads)
    assert cache.get("test", ref, loads) is kept


def test_a_folder_that_is_gone_is_an_error_not_an_old_answer(tmp_path, loads):
    cache, ref = models.ModelCache(10_000), str(checkpoint(tmp_path / "a"))
    cache.get("test", ref, loads)
    (tmp_path / "a").rename(tmp_path / "b")
    with pytest.raises(FileNotFoundError, match="no folder"):
        cache.get("test", ref, loads)


def test_what_one_loaded_from_a_folder_is_no_answer_to_one_who_may_not(tmp_path, loads):
    cache, ref = models.ModelCache(10_000), str(checkpoint(tmp_path / "a"))
    cache.get("test", ref, loads)
    with pytest.raises((ValueError, FileNotFoundError)):
        cache.get("test", ref, loads, folders=False)


def test_a_failed_load_is_told_by_the_ref_not_by_where_its_files_lie(tmp_path, fresh_hub):
    hub.push(checkpoint(tmp_path / "a"), "lunar/toy", token="hf_local_write")

    def refuse(folder):
        raise ValueError(f"{folder}/model.safetensors lacks weight 'x'")

    with pytest.raises(ValueError, match="^lunar/toy/model.safetensors lacks weight 'x'$"):
        models.ModelCache(10_000).get("test", "lunar/toy", refuse)


def test_a_hub_ref_is_looked_up_again_only_on_refresh(tmp_path, loads, fresh_hub):
    cache = models.ModelCache(10_000)
    hub.push(checkpoint(tmp_path / "a", 1.0), "lunar/toy", token="hf_local_write")
    assert cache.get("test", "lunar/toy", loads).model.weight[0] == 1
    hub.push(checkpoint(tmp_path / "b", 2.0), "lunar/toy", token="hf_local_write")
    requests = len(fresh_hub.log)
    assert cache.get("test", "lunar/toy", loads).model.weight[0] == 1
    assert len(fresh_hub.log) == requests
    assert cache.get("test", "lunar/toy", loads, refresh=True).model.weight[0] == 2


def test_many_threads_that_want_one_model_load_it_once(tmp_path):
    cache, ref = models.ModelCache(10_000), str(checkpoint(tmp_path / "a"))
    calls, got, start = [], [], threading.Barrier(8)

    def slow(folder):
        calls.append(folder)
        time.sleep(0.1)
        return Toy(folder)

    def ask():
        start.wait()
        got.append(cache.get("test", ref, slow))

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(calls) == 1
    assert len({id(entry) for entry in got}) == 1


def test_nobody_waits_for_another_models_download(tmp_path, loads):
    cache = models.ModelCache(10_000)
    slow, fast = (str(checkpoint(tmp_path / name)) for name in ("slow", "fast"))
    inside, release = threading.Event(), threading.Event()

    def held(folder):
        inside.set()
        assert release.wait(10)
        return Toy(folder)

    thread = threading.Thread(target=cache.get, args=("test", slow, held))
    thread.start()
    assert inside.wait(10)
    assert cache.get("test", fast, loads).model.weight.sum() == 250
    release.set()
    thread.join()
    assert set(cache.names("test")) == {slow, fast}


def test_the_budget_is_at_most_a_quarter_of_the_memory():
    import psutil

    assert 0 < models.default_budget() <= psutil.virtual_memory().total // 4


def test_refs_that_name_nothing_leave_nothing_behind(tmp_path, loads):
    """Each ref that failed to load kept a lock for ever: whoever typed nonsense made the server grow."""
    cache, good = models.ModelCache(10_000), str(checkpoint(tmp_path / "a"))
    cache.get("test", good, loads)
    for i in range(20):
        with pytest.raises((FileNotFoundError, ValueError)):
            cache.get("test", str(tmp_path / f"none-{i}"), loads)
    assert [ref for _, ref, _ in cache._loading] == [good] and cache.get("test", good, loads) and loads.calls == ["a"]
