"""Checkpoint folders: written whole or not at all, read strictly (HB-10). Independent readings go through safetensors itself."""

import json
import os
import pickle
import re
import struct
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from lunaris.core import checkpoint, hub


class Net(nn.Module):
    """Floating weights, an integer buffer (num_batches_tracked) and a tied pair."""

    def __init__(self, width: int = 8):
        super().__init__()
        self.body = nn.Sequential(nn.Linear(4, width), nn.BatchNorm1d(width))
        self.embedding = nn.Embedding(5, width)
        self.head = nn.Linear(width, 5, bias=False)
        self.head.weight = self.embedding.weight


CONFIG = {"family": "pixel", "model": {"width": 8, "name": "lua ☾"}}


@pytest.fixture
def net() -> Net:
    torch.manual_seed(1)
    return Net()


@pytest.fixture
def folder(net: Net, tmp_path: Path) -> Path:
    return hub.save(tmp_path / "checkpoint", tensors=net.state_dict(), config=CONFIG, files={"README.md": "# A\n", "sub/vocab.json": b"{}"})


def other_net() -> Net:
    torch.manual_seed(2)
    return Net()


def state(module: nn.Module) -> dict[str, torch.Tensor]:
    return {name: tensor.clone() for name, tensor in module.state_dict().items()}


def same(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> bool:
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


def contents(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


# --- there and back ---------------------------------------------------------------------------------------------------------------


def test_what_is_saved_comes_back_bit_for_bit(folder, net):
    fresh = other_net()
    hub.load_into(fresh, folder)
    assert same(state(fresh), state(net))
    assert hub.load_config(folder) == CONFIG
    assert (folder / "sub" / "vocab.json").read_bytes() == b"{}"
    assert sorted(contents(folder)) == ["README.md", "config.json", "model.safetensors", "sub/vocab.json"]


def test_tied_weights_are_stored_once_and_stay_tied(folder, net):
    assert set(load_file(folder / "model.safetensors")) == set(net.state_dict()) - {"head.weight"}
    fresh = other_net()
    hub.load_into(fresh, folder)
    assert fresh.head.weight is fresh.embedding.weight and torch.equal(fresh.head.weight, net.head.weight)


def test_a_tied_weight_may_be_stored_under_its_other_name(net, tmp_path):
    tensors = state(net)
    del tensors["embedding.weight"]
    hub.save(tmp_path / "c", tensors=tensors, config={})
    fresh = other_net()
    hub.load_into(fresh, tmp_path / "c")
    assert same(state(fresh), state(net))


def test_views_of_one_memory_are_stored_as_they_look(tmp_path):
    base = torch.arange(12.0)
    hub.save(tmp_path / "c", tensors={"even": base[::2], "odd": base[1::2], "square": base.view(3, 4).T}, config={})
    stored = load_file(tmp_path / "c" / "model.safetensors")
    assert stored["even"].tolist() == [0, 2, 4, 6, 8, 10] and stored["odd"].tolist() == [1, 3, 5, 7, 9, 11]
    assert torch.equal(stored["square"], base.view(3, 4).T)


def test_half_precision_on_disk_keeps_integers_and_loads_into_the_modules_own_dtype(net, tmp_path):
    net.body[1].num_batches_tracked += 70_000  # beyond float16
    hub.save(tmp_path / "c", tensors=net.state_dict(), config={}, dtype=torch.float16)
    stored = load_file(tmp_path / "c" / "model.safetensors")
    assert stored["body.0.weight"].dtype == torch.float16 and stored["body.1.num_batches_tracked"].dtype == torch.int64
    fresh = other_net()
    hub.load_into(fresh, tmp_path / "c")
    assert fresh.body[0].weight.dtype == torch.float32
    assert torch.equal(fresh.body[0].weight, net.body[0].weight.half().float())
    assert fresh.body[1].num_batches_tracked == 70_000


def test_the_hash_follows_the_weights_and_nothing_else(folder, net, tmp_path):
    import hashlib

    assert hub.weight_hash(folder) == hashlib.sha256((folder / "model.safetensors").read_bytes()).hexdigest()[:16]
    same_weights = hub.save(tmp_path / "b", tensors=net.state_dict(), config={"other": 1})
    assert hub.weight_hash(same_weights) == hub.weight_hash(folder)
    assert hub.weight_hash(hub.save(tmp_path / "c", tensors=other_net().state_dict(), config={})) != hub.weight_hash(folder)


def test_saving_leaves_the_model_alone(net, tmp_path):
    before = state(net)
    hub.save(tmp_path / "c", tensors=net.state_dict(), config={}, dtype=torch.bfloat16)
    assert same(state(net), before) and net.body[0].weight.requires_grad


# --- strict loading ---------------------------------------------------------------------------------------------------------------


def rewrite(folder: Path, change) -> None:
    tensors = load_file(folder / "model.safetensors")
    change(tensors)
    save_file(tensors, folder / "model.safetensors")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda t: t.pop("body.0.bias"), r"lacks weight 'body\.0\.bias' of the model"),
        (lambda t: t.update(extra=torch.ones(1)), r"has weight 'extra' that the model lacks"),
        (lambda t: t.update({"body.0.bias": torch.ones(9)}), r"weight 'body\.0\.bias' has shape \(9,\) in .* and \(8,\) in the model"),
        (lambda t: t["body.0.bias"].fill_(float("nan")), r"weight 'body\.0\.bias' in .* holds NaN or infinite values"),
        (lambda t: t["body.0.weight"][0].fill_(float("-inf")), r"weight 'body\.0\.weight' in .* holds NaN or infinite"),
        (lambda t: t.update({"body.0.bias": torch.ones(8, dtype=torch.int64)}), r"weight 'body\.0\.bias' is torch\.int64"),
        (lambda t: t.clear(), r"lacks the weights 'body\.0\.weight', 'body\.0\.bias', 'body\.1\.weight' and 6 more"),
    ],
)
def test_a_weight_that_does_not_fit_is_named_and_the_model_stays_as_it_was(folder, change, said):
    rewrite(folder, change)
    fresh = other_net()
    before = state(fresh)
    with pytest.raises(ValueError, match=said) as caught:
        hub.load_into(fresh, folder)
    assert "\n" not in str(caught.value) and str(folder) in str(caught.value)
    assert same(state(fresh), before)


def test_a_model_of_another_size_is_refused(folder):
    with pytest.raises(ValueError, match=r"has shape .* made for another config"):
        hub.load_into(Net(width=9), folder)


def test_a_file_cut_anywhere_is_refused_and_the_weight_is_named(folder):
    """Every length short of the whole: no cut loads, and no cut fails with anything but one sentence."""
    path = folder / "model.safetensors"
    whole = path.read_bytes()
    header = 8 + struct.unpack("<Q", whole[:8])[0]
    for length in [*range(0, header, 37), header, *range(header + 1, len(whole), 41), len(whole) - 1]:
        path.write_bytes(whole[:length])
        with pytest.raises(ValueError, match=r"cut short|not a safetensors file") as caught:
            hub.load_tensors(folder)
        assert "\n" not in str(caught.value)
        if length >= header:
            assert re.search(r"weight '[\w.]+' is incomplete", str(caught.value))


@pytest.mark.parametrize(
    "header",
    [
        {"a": {"dtype": "F32", "shape": [2], "data_offsets": [0, 4]}},
        {"a": {"dtype": "F32", "shape": [1]}},
        {"a": {"dtype": "F32", "shape": [1], "data_offsets": "no"}},
        {"a": 7},
        {"a": {"dtype": "F32", "shape": [1], "data_offsets": [2, 4]}},
    ],
)
def test_a_header_that_lies_is_refused(tmp_path, header):
    text = json.dumps(header).encode()
    (tmp_path / "model.safetensors").write_bytes(struct.pack("<Q", len(text)) + text + bytes(4))
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(ValueError, match=r"damaged|not a safetensors file|cut short"):
        hub.load_tensors(tmp_path)


@pytest.mark.parametrize("dtype", ["F8_E4M3", "F4", "C64", "F99"])
def test_numbers_that_torch_cannot_check_are_refused_by_name(tmp_path, dtype):
    """Weights of 8 bits loaded, and then the question whether they are finite was a NotImplementedError."""
    text = json.dumps({"a": {"dtype": dtype, "shape": [4], "data_offsets": [0, 4]}}).encode()
    (tmp_path / "model.safetensors").write_bytes(struct.pack("<Q", len(text)) + text + bytes(4))
    with pytest.raises(ValueError, match=f"^weight 'a' in .* must be F16, BF16, .* got '{dtype}'; save it as BF16$"):
        hub.load_tensors(tmp_path)


def test_parameters_are_counted_in_weights_alone(folder, net):
    """A Git-LFS pointer in their place, what a clone without LFS leaves, was read as a header of quintillions of bytes: a MemoryError."""
    path = folder / "model.safetensors"
    assert checkpoint.count_parameters(path) == sum(tensor.numel() for tensor in load_file(path).values())
    path.write_text("version https://git-lfs.github.com/spec/v1\noid sha256:4d7a21\nsize 12345\n")
    with pytest.raises(ValueError, match=r"is not a safetensors file or is cut short .*; copy or download it again"):
        checkpoint.count_parameters(path)


def test_a_header_that_claims_gigabytes_is_not_read(tmp_path):
    (tmp_path / "model.safetensors").write_bytes(struct.pack("<Q", 1 << 60) + b"{" + bytes(100))
    with pytest.raises(ValueError, match="not a safetensors file or is cut short"):
        hub.load_tensors(tmp_path)


def test_weights_of_absurd_size_are_not_read(tmp_path):
    with open(tmp_path / "model.safetensors", "wb") as file:
        file.truncate(11 << 30)  # sparse: takes no room
    with pytest.raises(ValueError, match=r"has 11\.8 GB and Lunaris reads at most 10\.7 GB"):
        hub.load_tensors(tmp_path)


# --- pickles ----------------------------------------------------------------------------------------------------------------------


class Malicious:
    """Unpickling this creates a file: the proof that something was opened."""

    def __init__(self, proof: Path):
        self.proof = proof

    def __reduce__(self):
        return (open, (str(self.proof), "w"))


@pytest.fixture
def proof(tmp_path: Path) -> Path:
    return tmp_path / "the-pickle-ran"


@pytest.mark.parametrize("protocol", [0, 2, 4, 5])
def test_a_pickle_under_another_name_is_refused_and_never_opened(tmp_path, proof, protocol):
    (tmp_path / "c").mkdir()
    (tmp_path / "c" / "config.json").write_text("{}")
    (tmp_path / "c" / "model.safetensors").write_bytes(pickle.dumps(Malicious(proof), protocol=protocol))
    for read in (hub.load_tensors, lambda folder: hub.load_into(Net(), folder)):
        with pytest.raises(ValueError, match="is a pickle under another name" if protocol else "is not a safetensors file"):
            read(tmp_path / "c")
    assert not proof.exists()
    pickle.loads((tmp_path / "c" / "model.safetensors").read_bytes()).close()
    assert proof.exists()  # it was a real one


@pytest.mark.parametrize("name", ["pytorch_model.bin", "model.pt", "model.ckpt", "weights.PKL", "archive.pth"])
def test_a_folder_with_nothing_but_a_pickle_is_refused_with_the_reason(tmp_path, proof, name):
    (tmp_path / "c").mkdir()
    (tmp_path / "c" / "config.json").write_text("{}")
    torch.save({"weight": torch.ones(2), "bad": Malicious(proof)}, tmp_path / "c" / name)
    for read in (hub.resolve, hub.load_tensors, lambda folder: hub.load_into(Net(), folder), lambda folder: hub.push(folder, "lunar/x")):
        with pytest.raises(ValueError, match=rf"no safetensors, only pickle '{re.escape(name)}', which could run code when opened"):
            read(tmp_path / "c")
    assert not proof.exists()


def test_a_zip_of_torch_save_under_another_name_is_refused(tmp_path, proof):
    (tmp_path / "c").mkdir()
    (tmp_path / "c" / "config.json").write_text("{}")
    torch.save({"bad": Malicious(proof)}, tmp_path / "c" / "model.safetensors")
    with pytest.raises(ValueError, match="is a pickle under another name, which could run code"):
        hub.load_tensors(tmp_path / "c")
    assert not proof.exists()


@pytest.mark.parametrize("start", [b"\x80\x02", b"\x80\x04", b"PK"])
def test_headers_whose_length_looks_like_a_pickle_still_load(tmp_path, start):
    """The bug this would catch: a header of 640 bytes begins with the very two bytes of a pickle, one of 19,280 with those of a zip."""
    length = int.from_bytes(start, "little")
    header = json.dumps({"a": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}}).encode().ljust(length)
    (tmp_path / "model.safetensors").write_bytes(struct.pack("<Q", length) + header + struct.pack("<f", 1))
    assert (tmp_path / "model.safetensors").read_bytes()[:2] == start
    assert hub.load_tensors(tmp_path)["a"].item() == 1


# --- config -----------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "not valid JSON"),
        ("[1]", "must hold a table of keys and values, got a list"),
        ('{"a": NaN}', "NaN is not JSON"),
        ("\udcff".encode("utf-8", "surrogateescape"), "not valid JSON"),
        ("[" * 100_000, "not valid JSON"),
        (" " * (1 << 20) + "{}", "this is not a config"),
    ],
)
def test_a_config_that_is_none_is_one_sentence(folder, text, said):
    (folder / "config.json").write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(ValueError, match=said) as caught:
        hub.load_config(folder)
    assert "\n" not in str(caught.value)


def test_what_is_not_there_is_said(tmp_path, folder):
    with pytest.raises(FileNotFoundError, match="no folder .*nowhere"):
        hub.load_config(tmp_path / "nowhere")
    (folder / "config.json").unlink()
    with pytest.raises(FileNotFoundError, match=r"has no config\.json; a checkpoint holds model\.safetensors and config\.json"):
        hub.load_config(folder)
    (folder / "model.safetensors").unlink()
    for read in (hub.load_tensors, hub.weight_hash):
        with pytest.raises(FileNotFoundError, match=r"has no model\.safetensors"):
            read(folder)


# --- what cannot be saved ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_weights_that_are_not_finite_are_not_saved_and_the_old_checkpoint_stays(folder, net, bad):
    before = contents(folder)
    with torch.no_grad():
        net.body[0].bias[3] = bad
    with pytest.raises(ValueError, match=r"weight 'body\.0\.bias' holds NaN or infinite values and is not saved"):
        hub.save(folder, tensors=net.state_dict(), config={})
    assert contents(folder) == before


def test_weights_too_large_for_half_precision_are_named(tmp_path):
    with pytest.raises(ValueError, match=r"weight 'a' reaches 1e\+06, too large for torch\.float16; save it as bfloat16 or float32"):
        hub.save(tmp_path / "c", tensors={"a": torch.tensor([1e6])}, config={}, dtype=torch.float16)
    hub.save(tmp_path / "c", tensors={"a": torch.tensor([1e6])}, config={}, dtype=torch.bfloat16)


@pytest.mark.parametrize("name", ["../escape.json", "/etc/passwd", "a/../../b", "", "a\\b", "c:x"])
def test_files_stay_in_the_folder(tmp_path, name):
    with pytest.raises(ValueError, match="needs a plain relative path"):
        hub.save(tmp_path / "c", tensors={}, config={}, files={name: "x"})
    assert list(tmp_path.iterdir()) == []


def test_a_place_that_cannot_be_written_is_one_sentence_and_leaves_nothing(tmp_path):
    (tmp_path / "file").write_text("mine")
    for target in (tmp_path / "file", tmp_path / "file" / "c", Path("/proc/nowhere/c")):
        with pytest.raises(OSError, match=rf"cannot write {target}: .*; choose a folder that you can write to") as caught:
            hub.save(target, tensors={"a": torch.ones(1)}, config={})
        assert "\n" not in str(caught.value)
    assert (tmp_path / "file").read_text() == "mine" and list(tmp_path.iterdir()) == [tmp_path / "file"]


def test_a_full_disk_leaves_the_old_checkpoint(folder, net, monkeypatch):
    before = contents(folder)
    monkeypatch.setattr(os, "fsync", _no_space)
    with pytest.raises(OSError, match="cannot write .*No space left on device"):
        hub.save(folder, tensors=other_net().state_dict(), config={})
    assert contents(folder) == before and [path.name for path in folder.parent.iterdir()] == [folder.name]


def _no_space(_):
    raise OSError(28, "No space left on device")


# --- in one step ------------------------------------------------------------------------------------------------------------------


def test_a_save_replaces_its_own_files_and_keeps_what_training_left(folder, net):
    """A run's folder holds its state and log too; the final save must not take them away."""
    (folder / "state").mkdir()
    (folder / "state" / "optimizer.safetensors").write_bytes(b"state")
    log = open(folder / "metrics.jsonl", "a")  # noqa: SIM115 - stays open, as in a run
    log.write("1\n")
    log.flush()
    hub.save(folder, tensors=other_net().state_dict(), config={"new": 1}, files={"README.md": "# B\n"})
    log.write("2\n")
    log.close()
    after = contents(folder)
    assert after["state/optimizer.safetensors"] == b"state" and after["README.md"] == b"# B\n"
    assert after["metrics.jsonl"] == b"1\n2\n"
    assert hub.load_config(folder) == {"new": 1}


def test_a_save_keeps_links_and_empty_folders_too(folder, tmp_path):
    """A training state that a link put on a larger disk was gone after the save, and --resume began anew."""
    (tmp_path / "large-disk/step-1").mkdir(parents=True)
    (folder / "state").symlink_to(tmp_path / "large-disk", target_is_directory=True)
    (folder / "latest").symlink_to("state/step-1")
    (folder / "empty/inside").mkdir(parents=True)
    hub.save(folder, tensors=other_net().state_dict(), config={"new": 1})
    assert (folder / "state").readlink() == tmp_path / "large-disk" and (folder / "state/step-1").is_dir()
    assert (folder / "latest").readlink() == Path("state/step-1")
    assert (folder / "empty/inside").is_dir() and (tmp_path / "large-disk/step-1").is_dir()


def test_the_current_folder_is_no_target(folder, monkeypatch):
    """--out . left the process and its shell in a deleted folder, where no relative path names anything any more."""
    (folder / "below").mkdir()
    before = contents(folder)
    for here, target in ((folder, "."), (folder, folder), (folder / "below", "..")):
        monkeypatch.chdir(here)
        with pytest.raises(ValueError, match=r"must not be the current one or one above it, got /.*; give a folder inside it"):
            hub.save(target, tensors={}, config={})
    assert contents(folder) == before
    assert hub.save(Path("inside"), tensors={}, config={}).is_dir()


def test_write_folder_alone_replaces_everything(folder, tmp_path):
    (tmp_path / "source.txt").write_text("copied")
    hub.write_folder(folder, {"a.txt": "a", "b/c.txt": tmp_path / "source.txt"})
    assert contents(folder) == {"a.txt": b"a", "b/c.txt": b"copied"}


def test_a_link_to_a_folder_stays_a_link(folder, tmp_path):
    link = tmp_path / "latest"
    link.symlink_to(folder)
    hub.save(link, tensors=other_net().state_dict(), config={"new": 1})
    assert link.is_symlink() and hub.load_config(folder) == {"new": 1}


def test_a_new_folder_has_the_usual_permissions(tmp_path):
    (tmp_path / "usual").mkdir()
    hub.save(tmp_path / "c", tensors={}, config={})
    assert (tmp_path / "c").stat().st_mode == (tmp_path / "usual").stat().st_mode


@pytest.mark.parametrize("can_swap", [True, False])
def test_nothing_is_left_beside_the_folder(folder, monkeypatch, can_swap):
    if not can_swap:
        monkeypatch.setattr(checkpoint, "_exchange", lambda a, b: False)
    hub.save(folder, tensors=other_net().state_dict(), config={"new": 1})
    assert [path.name for path in folder.parent.iterdir()] == [folder.name]
    assert hub.load_config(folder) == {"new": 1}


def test_leftovers_of_killed_runs_are_swept_when_they_are_old(folder):
    old, young = (folder.parent / f".{folder.name}.{name}.new" for name in ("0000aaaa", "0000bbbb"))
    for path in (old, young):
        path.mkdir()
    os.utime(old, (0, 0))
    hub.save(folder, tensors={}, config={})
    assert not old.exists() and young.exists()  # the young one may be another process at work


KILLED_ANYWHERE = """
    import json, os, sys
    from pathlib import Path

    import torch

    from lunaris.core import checkpoint, hub

    folder, can_swap = Path(sys.argv[1]), sys.argv[2] == "swap"
    torch.set_num_threads(1)
    OLD, NEW = torch.zeros(50), torch.ones(50)
    if not can_swap:
        checkpoint._exchange = lambda a, b: False


    def save(tensor, name):
        hub.save(folder, tensors={"w": tensor}, config={"name": name}, files={"README.md": name, "sub/x.txt": name})


    def killed_after(events):
        # A child of this process saves and dies, as by SIGKILL, at the `events`-th file operation. True when it died.
        child = os.fork()
        if child == 0:
            left = events

            def hook(event, args):
                nonlocal left
                if event in ("open", "os.rename", "os.mkdir", "os.link", "os.remove", "os.rmdir", "shutil.rmtree", "shutil.copyfile"):
                    left -= 1
                    if left < 0:
                        os._exit(9)

            sys.addaudithook(hook)
            save(NEW, "new")
            os._exit(0)
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 9


    seen, k = [], 0
    while True:
        save(OLD, "old")
        (folder / "state").mkdir(exist_ok=True)
        (folder / "state" / "kept.txt").write_text("kept")
        died = killed_after(k)
        hub.resolve(folder)  # brings the folder back where two renames were needed
        name, weight = hub.load_config(folder)["name"], hub.load_tensors(folder)["w"]
        expected = {"old": OLD, "new": NEW}[name]
        assert torch.equal(weight, expected), (k, "weights and config of two saves")
        assert (folder / "README.md").read_text() == name == (folder / "sub" / "x.txt").read_text(), k
        assert (folder / "state" / "kept.txt").read_text() == "kept", k
        seen.append(name)
        if not died:
            break
        k += 1
    print(json.dumps(seen))
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="kills a forked process")
@pytest.mark.parametrize("how", ["swap", "two-renames"])
def test_killed_at_every_single_file_operation_one_of_both_is_complete(tmp_path, how):
    """HB-10, issue: a save killed half-way never leaves a broken checkpoint. Exhaustive: dies at the 1st, 2nd, ... operation."""
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(KILLED_ANYWHERE), tmp_path / "c", how],
        capture_output=True,
        text=True,
        timeout=300,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert done.returncode == 0, done.stderr
    seen = json.loads(done.stdout)
    assert len(seen) > 15 and seen[0] == "old" and seen[-1] == "new"
    assert seen == sorted(seen, reverse=True)  # old up to one moment, new from then on
