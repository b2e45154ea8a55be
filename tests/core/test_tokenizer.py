"""core.tokenizer: byte-level BPE in transformers' format, compared with transformers itself."""

import pytest
import torch

from lunaris.core.tokenizer import BpeTokenizer

TEXTS = ["uma poção vermelha", "a red potion", "chave azul", "a blue key"] * 5


@pytest.fixture(scope="module")
def folded():
    return BpeTokenizer.train(TEXTS, vocab_size=400, fold=True)


def test_saved_files_are_read_by_transformers_with_the_same_ids(tmp_path):
    from transformers import AutoTokenizer

    ours = BpeTokenizer.train(TEXTS, vocab_size=400)
    for name, text in ours.to_files().items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    theirs = AutoTokenizer.from_pretrained(tmp_path)
    for text in (*TEXTS, "ação 🐉 nova", "", "  spaces "):
        assert theirs(text, add_special_tokens=False).input_ids == ours.encode(text) == BpeTokenizer.load(tmp_path).encode(text)
    assert theirs.pad_token == "<pad>" and theirs.pad_token_id == 0


@pytest.mark.parametrize("text", ["poção à mão ç", "emoji 🐉🧪", "日本語", "tab\tand\nline", "<pad> typed by a person"])
def test_any_text_comes_back_unchanged(text):
    tokenizer = BpeTokenizer.train(TEXTS, vocab_size=400)
    assert tokenizer.decode(tokenizer.encode(text)).strip() == text.replace("<pad>", "").strip()


def test_folding_makes_accents_and_case_no_difference(folded):
    assert folded.encode("Uma POÇÃO Vermelha") == folded.encode("uma pocao vermelha")


def test_a_frequent_word_is_one_token_wherever_it_stands(folded):
    assert folded.encode("red") == folded.encode("a red")[1:] and len(folded.encode("red")) == 1


def test_batch_pads_right_masks_and_cuts(folded):
    ids, mask = folded.batch(["red", "a red potion key", ""], max_length=3)
    assert ids.shape == mask.shape == (3, 3)
    assert mask.tolist() == [[True, False, False], [True, True, True], [False, False, False]]
    assert torch.equal(ids[1], torch.tensor(folded.encode("a red potion key")[:3])) and not ids[2].any()


def test_training_twice_gives_the_same_tokenizer():
    assert BpeTokenizer.train(TEXTS, vocab_size=400).to_files() == BpeTokenizer.train(TEXTS, vocab_size=400).to_files()


def test_bad_inputs_are_one_sentence(tmp_path):
    with pytest.raises(ValueError, match="vocab_size must be at least 258"):
        BpeTokenizer.train(TEXTS, vocab_size=100)
    with pytest.raises(FileNotFoundError, match="no tokenizer.json in"):
        BpeTokenizer.load(tmp_path)
    (tmp_path / "tokenizer.json").write_text("{}")
    with pytest.raises(ValueError, match="is not a tokenizer file"):
        BpeTokenizer.load(tmp_path)


def test_an_entry_of_another_tokenizer_is_told_in_ones_own_pieces():
    """What it says is kept, byte for byte: at the start of a word or within one, accents and specials too."""
    ours = BpeTokenizer.train(["red potion", "a red potion"] * 5, vocab_size=300)
    theirs = BpeTokenizer.train(["yaktaur", "poção red yaktaur"] * 20, vocab_size=320)
    for index in range(theirs.vocab_size):
        pieces, entry = ours.pieces(theirs, index), theirs._tokenizer.id_to_token(index)
        assert "".join(ours._tokenizer.id_to_token(piece) for piece in pieces) == entry
    (red,), (same,) = ours.pieces(theirs, theirs.encode("a red")[-1]), [ours.encode("a red")[-1]]
    assert red == same and len(ours.pieces(theirs, theirs.encode("yaktaur")[0])) > 1
