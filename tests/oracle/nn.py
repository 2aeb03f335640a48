"""Values and gradients for tests/all/kit/nn by PyTorch, in float64: `python nn.py > nn.txt`."""

import torch
import torch.nn.functional as f

torch.set_default_dtype(torch.float64)


def fill(shape, seed):
    """The numbers with which the test fills its arrays."""
    n = torch.Size(shape).numel()
    return torch.sin(seed + 1.7 * torch.arange(n)).reshape(shape)


def show(name, x):
    print(f"{name}:", *(f"{v:.12g}" for v in x.detach().flatten().tolist()))


def show_with_gradients(name, function, inputs):
    for x in inputs.values():
        x.requires_grad_()
    y = function(*inputs.values())
    show(f"{name} y", y)
    gradients = torch.autograd.grad((y * fill(y.shape, 5)).sum(), list(inputs.values()))
    for key, gradient in zip(inputs, gradients):
        show(f"{name} d{key}", gradient)


print(f"# torch {torch.__version__}, float64, by tests/oracle/nn.py")

for name, kernel, options in [
    ("plain", (6, 4, 3), {}),
    ("stride 2", (6, 4, 3), dict(stride=2)),
    ("padding 2", (6, 4, 3), dict(padding=2)),
    ("dilation 2", (6, 4, 3), dict(dilation=2)),
    ("stride 4 padding 1", (6, 4, 3), dict(stride=4, padding=1)),
    ("groups 2", (6, 2, 3), dict(groups=2, padding=1)),
    ("depthwise", (4, 1, 2), dict(groups=4)),
    ("size 1", (2, 4, 1), {}),
]:
    inputs = dict(x=fill((2, 4, 7), 1), w=fill(kernel, 2))
    show_with_gradients(f"conv1d {name}", lambda x, w: f.conv1d(x, w, **options), inputs)

for name, kernel, options in [
    ("plain", (3, 2, 3, 2), {}),
    ("stride 2 padding 1", (3, 2, 3, 2), dict(stride=2, padding=1)),
    ("uneven", (3, 2, 3, 2), dict(stride=(1, 3), padding=(2, 0), dilation=(2, 1))),
    ("stride 3 size 2", (3, 2, 2, 2), dict(stride=3)),
    ("groups 2", (4, 1, 3, 3), dict(groups=2, padding=1)),
    ("size 1", (3, 2, 1, 1), {}),
    ("size 1 stride 2", (3, 2, 1, 1), dict(stride=2)),
    ("whole image", (3, 2, 5, 6), {}),
]:
    inputs = dict(x=fill((2, 2, 5, 6), 1), w=fill(kernel, 2))
    show_with_gradients(f"conv2d {name}", lambda x, w: f.conv2d(x, w, **options), inputs)

for name, kernel, options in [
    ("plain", (4, 3, 3), {}),
    ("stride 2", (4, 3, 3), dict(stride=2, padding=1, output_padding=1)),
    ("dilation 2", (4, 3, 3), dict(dilation=2, padding=3, output_padding=1)),
    ("stride 3 size 2", (4, 3, 2), dict(stride=3)),
    ("groups 2", (4, 2, 3), dict(groups=2, stride=2)),
    ("size 1", (4, 2, 1), {}),
]:
    inputs = dict(x=fill((2, 4, 5), 1), w=fill(kernel, 2))
    show_with_gradients(f"conv_transpose1d {name}", lambda x, w: f.conv_transpose1d(x, w, **options), inputs)

for name, kernel, options in [
    ("plain", (2, 3, 3, 2), {}),
    ("uneven", (2, 3, 3, 2), dict(stride=(1, 3), padding=(2, 0), dilation=(2, 1), output_padding=(1, 2))),
    ("groups 2", (2, 2, 3, 3), dict(groups=2, stride=2, padding=1)),
    ("size 1", (2, 3, 1, 1), {}),
]:
    inputs = dict(x=fill((2, 2, 4, 3), 1), w=fill(kernel, 2))
    show_with_gradients(f"conv_transpose2d {name}", lambda x, w: f.conv_transpose2d(x, w, **options), inputs)

for size in 1, 3, 7, 9:
    for kind in "max", "avg":
        pool = getattr(f, f"adaptive_{kind}_pool1d")
        show_with_gradients(f"adaptive_{kind}_pool1d {size}", lambda x: pool(x, size), dict(x=fill((2, 3, 7), 1)))
for rows, columns in (1, 1), (3, 4), (5, 2), (7, 6):
    for kind in "max", "avg":
        pool = getattr(f, f"adaptive_{kind}_pool2d")
        show_with_gradients(
            f"adaptive_{kind}_pool2d {rows} {columns}", lambda x: pool(x, (rows, columns)), dict(x=fill((2, 2, 5, 6), 1))
        )

for name, kind, options in [
    ("Nearest", {1: "nearest", 2: "nearest"}, {}),
    ("Linear", {1: "linear", 2: "bilinear"}, dict(align_corners=False)),
    ("AlignedCorners", {1: "linear", 2: "bilinear"}, dict(align_corners=True)),
]:
    for size in [1, 3, 8]:
        grow = lambda x: f.interpolate(x, size, mode=kind[1], **options)
        show_with_gradients(f"upsample1d {name} {size}", grow, dict(x=fill((2, 3, 5), 1)))
    for size in [(8, 3), (4, 9), (1, 7)]:
        grow = lambda x: f.interpolate(x, size, mode=kind[2], **options)
        show_with_gradients(f"upsample2d {name} {size[0]} {size[1]}", grow, dict(x=fill((2, 2, 4, 3), 1)))

for name, size, options in [
    ("side by side", 2, {}),
    ("overlapping", 3, dict(stride=2, padding=1)),
    ("apart", 2, dict(stride=3)),
    ("whole", 7, {}),
]:
    for kind in "max", "avg":
        pool = getattr(f, f"{kind}_pool1d")
        show_with_gradients(f"{kind}_pool1d {name}", lambda x: pool(x, size, **options), dict(x=fill((2, 3, 7), 1)))

for name, size, options in [
    ("side by side", 2, {}),
    ("overlapping", 3, dict(stride=2, padding=1)),
    ("uneven", (2, 3), dict(stride=(1, 2), padding=(1, 0))),
]:
    x = fill((2, 2, 5, 6), 1)
    for kind in "max", "avg":
        pool = getattr(f, f"{kind}_pool2d")
        show_with_gradients(f"{kind}_pool2d {name}", lambda x: pool(x, size, **options), dict(x=x))
    pool = lambda x: f.avg_pool2d(x, size, count_include_pad=False, **options)
    show_with_gradients(f"avg_pool2d without padding {name}", pool, dict(x=x))

x = fill((3, 2, 5), 1)
show_with_gradients("layer_norm", lambda x: f.layer_norm(x, (5,), fill((5,), 0), fill((5,), 1)), dict(x=x))
show_with_gradients("rms_norm", lambda x: torch.nn.functional.rms_norm(x, (5,), fill((5,), 0)), dict(x=x))
for name, shape in [("rows", (4, 3)), ("signals", (4, 3, 2)), ("images", (2, 3, 2, 2)), ("one sample", (1, 3, 4))]:
    norm = torch.nn.modules.batchnorm._BatchNorm(3)
    norm._check_input_dim = lambda _: None
    norm.weight.data, norm.bias.data = fill((3,), 0), fill((3,), 1)
    show_with_gradients(f"batch_norm {name}", norm, dict(x=fill(shape, 1)))
    norm(fill(shape, 2))
    show(f"batch_norm {name} running_mean", norm.running_mean)
    show(f"batch_norm {name} running_var", norm.running_var)
    norm.eval()
    show_with_gradients(f"batch_norm {name} eval", norm, dict(x=fill(shape, 3)))

for groups, shape in [(1, (2, 4)), (2, (2, 4, 3)), (2, (2, 4, 2, 3)), (4, (2, 4, 3))]:
    norm = lambda x: f.group_norm(x, groups, fill((4,), 0), fill((4,), 1))
    show_with_gradients(f"group_norm {groups} of {len(shape)} axes", norm, dict(x=fill(shape, 1)))
show_with_gradients(
    "instance_norm", lambda x: f.instance_norm(x, weight=fill((4,), 0), bias=fill((4,), 1)), dict(x=fill((2, 4, 3), 1))
)

for name in "RNN", "GRU", "LSTM":
    run = getattr(torch.nn, name)(3, 4)
    gates = run.weight_ih_l0.shape[0]
    run.weight_ih_l0.data, run.weight_hh_l0.data = fill((3, gates), 0).T, fill((4, gates), 1).T
    run.bias_ih_l0.data, run.bias_hh_l0.data = fill((gates,), 2), fill((gates,), 3)
    show_with_gradients(name, lambda x: run(x)[0], dict(x=fill((5, 2, 3), 1)))
    if name == "LSTM":
        show("LSTM c", run(fill((5, 2, 3), 1))[1][1])

for name in "RNN", "GRU", "LSTM":
    for layers, both in [(2, False), (1, True), (2, True)]:
        run = getattr(torch.nn, name)(3, 4, num_layers=layers, bidirectional=both)
        # Weights in the order of their names in the list, each filled as a matrix of shape (inputs, units).
        for seed, weight in enumerate(run.parameters()):
            weight.data = fill(tuple(weight.shape[::-1]), seed).T if weight.dim() == 2 else fill(weight.shape, seed)
        for lengths in [None, [5, 2, 3]]:

            def forward(x):
                if lengths:
                    x = torch.nn.utils.rnn.pack_padded_sequence(x, lengths, enforce_sorted=False)
                y, last = run(x)
                if lengths:
                    y, _ = torch.nn.utils.rnn.pad_packed_sequence(y)
                return y, last if name == "LSTM" else (last,)

            case = f"{name} {layers} {both} {'ragged' if lengths else 'full'}"
            show_with_gradients(case, lambda x: forward(x)[0], dict(x=fill((5, 3, 3), 1)))
            for part, last in zip("hc", forward(fill((5, 3, 3), 1))[1]):
                show(f"{case} {part}", last)
            show_with_gradients(f"{case} of last", lambda x: forward(x)[1][-1], dict(x=fill((5, 3, 3), 1)))

attention = torch.nn.MultiheadAttention(4, 2, batch_first=True)
attention.in_proj_weight.data, attention.in_proj_bias.data = fill((4, 12), 0).T, fill((12,), 1)
attention.out_proj.weight.data, attention.out_proj.bias.data = fill((4, 4), 2).T, fill((4,), 3)
mask = torch.triu(torch.ones(3, 3, dtype=torch.bool), 1)
x = fill((2, 3, 4), 1)
show_with_gradients("attention", lambda x: attention(x, x, x)[0], dict(x=x))
show_with_gradients("attention causal", lambda x: attention(x, x, x, attn_mask=mask)[0], dict(x=x))
memory = fill((2, 5, 4), 2)
show_with_gradients("attention to memory", lambda x, m: attention(x, m, m)[0], dict(x=x, m=memory))

keys = torch.tensor([[1, 1, 1, 1, 0], [1, 1, 0, 0, 0]], dtype=torch.bool)
pairs = (torch.arange(15).reshape(3, 5) % 4) != 1
seen = keys[:, None, :] & pairs & (torch.arange(5) - torch.arange(3)[:, None] <= 2)
inputs = dict(x=fill((2, 3, 4), 1), m=fill((2, 5, 4), 2))
show_with_gradients(
    "attention masked",
    lambda x, m: attention(x, m, m, attn_mask=~seen.repeat_interleave(2, 0))[0],
    inputs,
)

logits, labels, shares = fill((4, 3), 1), torch.tensor([2, -1, 0, 1]), fill((4, 3), 2).softmax(1)
weights = torch.tensor([0.5, 2.0, 1.25])
for name, options in [
    ("plain", {}),
    ("weights", dict(weight=weights)),
    ("smoothing", dict(label_smoothing=0.2)),
    ("both", dict(weight=weights, label_smoothing=0.2)),
]:
    for reduction in ["mean", "sum", "none"]:
        show_with_gradients(
            f"labels {name} {reduction}",
            lambda x: f.cross_entropy(x, labels, ignore_index=-1, reduction=reduction, **options),
            dict(x=logits.clone()),
        )
        show_with_gradients(
            f"shares {name} {reduction}",
            lambda x, q: f.cross_entropy(x, q, reduction=reduction, **options),
            dict(x=logits.clone(), q=shares.clone()),
        )
for reduction in ["mean", "sum", "none"]:
    show_with_gradients(
        f"nll {reduction}",
        lambda x: f.nll_loss(x, labels, weight=weights, ignore_index=-1, reduction=reduction),
        dict(x=logits.clone()),
    )
    show_with_gradients(
        f"bce {reduction}",
        lambda x, t: f.binary_cross_entropy_with_logits(x, t, pos_weight=weights, reduction=reduction),
        dict(x=3 * logits, t=shares.clone()),
    )
for reduction in ["batchmean", "sum"]:
    kl = lambda x, q: f.kl_div(x.log_softmax(1), q, reduction=reduction)
    show_with_gradients(f"kl {reduction}", kl, dict(x=logits.clone(), q=shares.clone()))
kl = lambda x, q: f.kl_div(x, q, reduction="none").sum(1)
show_with_gradients("kl of logarithms", kl, dict(x=logits.clone(), q=shares.clone()))
