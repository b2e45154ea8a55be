"""The local Hub speaks the Hub's protocol to the real client: what the client does and raises here is what the product meets."""

from pathlib import Path


def test_upload_and_download_are_byte_equal(fresh_hub, tmp_path: Path):
    """HB-10: regular and large files, a tag with a slash, the listing."""
    from huggingface_hub import HfApi, snapshot_download

    folder = tmp_path / "in"
    folder.mkdir()
    (folder / "model.safetensors").write_bytes(bytes(range(256)) * 400)
    (folder / "config.json").write_text('{"a": 1}')
    (folder / "README.md").write_text("---\nlicense: mit\ntags: [lunaris]\n---\n# A\n")
    api = HfApi()
    api.create_repo("lunar/a", exist_ok=True)
    first = api.upload_folder(folder_path=folder, repo_id="lunar/a")
    api.create_tag("lunar/a", tag="rel/1")
    got = Path(snapshot_download("lunar/a", revision="rel/1"))
    for name in ("model.safetensors", "config.json", "README.md"):
        assert (got / name).read_bytes() == (folder / name).read_bytes()
    assert api.upload_folder(folder_path=folder, repo_id="lunar/a").oid == first.oid  # nothing changed, no commit
    assert [model.id for model in api.list_models(filter="lunaris")] == ["lunar/a"]
