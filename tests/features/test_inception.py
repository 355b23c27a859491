"""The Inception network against pytorch-fid and torch-fidelity, with random weights: tests download nothing."""

import hashlib
import io

import pytest
import torch
from PIL import Image

from lipschitz.errors import InputError
from lipschitz.features import inception as module
from lipschitz.features.inception import Inception, inception_of, load_inception, untrained_network

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def weights():
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        net = untrained_network()
        for layer in net.modules():
            if isinstance(layer, torch.nn.Conv2d):
                # With the default initialisation features are of order 1e-8, and any two agree.
                torch.nn.init.kaiming_normal_(layer.weight)
        return net.state_dict()


@pytest.fixture(scope="module")
def inception(weights):
    return inception_of(weights, "0" * 64, CPU)


@pytest.fixture(scope="module")
def file(weights, tmp_path_factory):
    path = tmp_path_factory.mktemp("weights") / "random.pth"
    torch.save(weights, path)
    return path


def colour(n=2, size=32):
    return torch.randint(256, (n, 3, size, size), generator=torch.Generator().manual_seed(1), dtype=torch.uint8)


def test_features_of_images_equal_pytorch_fid_s(inception, weights, monkeypatch):
    from pytorch_fid import inception as theirs
    from torchvision.transforms.functional import to_tensor

    monkeypatch.setattr(theirs, "load_state_dict_from_url", lambda *_, **__: weights)
    net = theirs.InceptionV3([theirs.InceptionV3.BLOCK_INDEX_BY_DIM[2048]]).eval()
    opened = [Image.fromarray(image.permute(1, 2, 0).numpy()).convert("RGB") for image in colour()]
    with torch.no_grad():
        expected = net(torch.stack([to_tensor(image) for image in opened]))[0].flatten(1).numpy()
    ours = inception.embed([colour()], "pytorch_fid").features
    assert expected.max() > 0.1
    assert ours == pytest.approx(expected, rel=1e-4, abs=1e-4)


def test_features_and_logits_without_bias_equal_torch_fidelity_s(inception, weights, file):
    theirs = pytest.importorskip("torch_fidelity.feature_extractor_inceptionv3")
    assert weights["fc.bias"].abs().min() > 0
    net = theirs.FeatureExtractorInceptionV3(
        "inception-v3-compat", ["2048", "logits_unbiased"], feature_extractor_weights_path=str(file)
    )
    features, logits = net(colour())
    ours = inception.embed([colour()], "torch_fidelity")
    assert features.max() > 0.1
    assert ours.features == pytest.approx(features.numpy(), rel=1e-4, abs=1e-4)
    assert ours.logits == pytest.approx(logits.numpy(), rel=1e-4, abs=1e-4)


def test_the_two_preprocessings_give_different_features(inception):
    one, other = (inception.embed([colour()], name).features for name in ("pytorch_fid", "torch_fidelity"))
    assert (one - other).abs().max() > 0.01


def test_outputs_do_not_depend_on_chunks_or_batches(inception, monkeypatch):
    whole = inception.embed([colour(3, 8)], "pytorch_fid")
    assert whole.features.shape == (3, 2048)
    assert whole.logits.shape == (3, 1008)
    assert whole.features.dtype == whole.logits.dtype == torch.float32
    monkeypatch.setattr(module, "BATCH", 1)
    chunked = inception.embed(torch.split(colour(3, 8), 2), "pytorch_fid")
    assert chunked.features == pytest.approx(whole.features, rel=1e-4, abs=1e-4)
    assert chunked.logits == pytest.approx(whole.logits, rel=1e-4, abs=1e-4)


class Probe(torch.nn.Module):
    """Stores the precision that convolutions on CUDA would have, and whether images and kernels are channels_last."""

    def __init__(self):
        super().__init__()
        self.kernels = torch.nn.Parameter(torch.zeros(2, 3, 3, 3))
        self.seen = []

    def forward(self, x):
        layouts = [tensor.is_contiguous(memory_format=torch.channels_last) for tensor in (x, self.kernels)]
        self.seen.append((torch.backends.cudnn.conv.fp32_precision, len(x), *layouts))
        return x.new_zeros(len(x), 2048)

    def __deepcopy__(self, memo):
        copied = Probe()
        copied.seen = self.seen
        return copied


@pytest.mark.parametrize("training", ["tf32", "ieee"])
def test_the_precision_is_the_protocols_for_every_training_precision(inception, training):
    before = torch.backends.cudnn.conv.fp32_precision
    probe = Probe()
    network = Inception(probe, inception.head, "")
    try:
        torch.backends.cudnn.conv.fp32_precision = training
        for precision in ("float32", "tf32", "float32"):
            network.embed([colour()], "pytorch_fid", precision)
            assert torch.backends.cudnn.conv.fp32_precision == training
    finally:
        torch.backends.cudnn.conv.fp32_precision = before
    float32, tf32 = ("ieee", 2, False, False), ("tf32", 2, True, True)
    assert probe.seen == [float32, tf32, float32]


def test_the_layout_of_tf32_changes_rounding_only(inception):
    # The CPU has no TF32; only the layout is another one.
    one, other = (inception.embed([colour()], "pytorch_fid", precision) for precision in ("float32", "tf32"))
    for outputs, expected in zip(other, one, strict=True):
        assert torch.allclose(outputs, expected, rtol=1e-4, atol=1e-4)
    assert not any(kernel.is_contiguous(memory_format=torch.channels_last) for kernel in _large(inception.backbone))


def _large(net):
    return [kernel for kernel in net.parameters() if kernel.dim() == 4 and min(kernel.shape[1:3]) > 1]


def test_batches_on_a_device_are_large_and_outputs_stay_there(inception):
    # Tensors of the device meta have no values that could be copied to the host.
    probe, meta = Probe(), torch.device("meta")
    outputs = Inception(probe, inception.head.to(meta), "").embed([colour(300, 8), colour(2, 8)], "torch_fidelity")
    assert [images for _, images, *_ in probe.seen] == [256, 44, 2]
    assert [(rows.device, len(rows)) for rows in outputs] == [(meta, 302)] * 2


@pytest.mark.gpu
def test_features_on_cuda_equal_those_of_the_cpu(inception, weights):
    there = inception_of(weights, "0" * 64, torch.device("cuda"))
    expected = inception.embed([colour()], "pytorch_fid")
    # Products in TF32 have 10 bits.
    for precision, tolerance in (("float32", 1e-4), ("tf32", 0.05)):
        found = there.embed([colour()], "pytorch_fid", precision)
        for rows, others in zip(found, expected, strict=True):
            assert torch.allclose(rows.cpu(), others, rtol=tolerance, atol=tolerance)


def test_the_hash_of_a_file_is_checked(file, inception, monkeypatch):
    sha256 = hashlib.sha256(file.read_bytes()).hexdigest()
    with pytest.raises(InputError, match=rf"{file} does not hold .* begins with {sha256[:8]}, .* begins with 6726825d"):
        load_inception(file, CPU)
    monkeypatch.setattr(module, "SHA256", sha256[:8])
    loaded = load_inception(file, CPU)
    assert loaded.sha256 == sha256
    assert torch.equal(loaded.head, inception.head)
    assert not any(weight.requires_grad for weight in loaded.backbone.parameters())
    assert not loaded.backbone.training


def test_a_file_that_cannot_be_read_is_named(tmp_path):
    with pytest.raises(InputError, match=r"cannot read .*: Is a directory"):
        load_inception(tmp_path, CPU)


def test_code_in_a_file_is_never_executed(tmp_path, monkeypatch):
    class Trap:
        def __reduce__(self):
            return (open, (str(tmp_path / "sprung"), "w"))

    file = io.BytesIO()
    torch.save(Trap(), file)
    path = tmp_path / "trap.pth"
    path.write_bytes(file.getvalue())
    monkeypatch.setattr(module, "SHA256", hashlib.sha256(file.getvalue()).hexdigest()[:8])
    with pytest.raises(Exception, match=r"weights_only|Weights only"):
        load_inception(path, CPU)
    assert not (tmp_path / "sprung").exists()
