"""Files of weights that PyTorch wrote, and what its layers compute with them, for tests/all/kit/torch.rs.

`python torch_files.py > torch/results.txt` also writes torch/*.safetensors. The results are in float64.
"""

import copy
import zlib
from collections import OrderedDict
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import nn

FOLDER = Path(__file__).parent / "torch"


def fill(*shape, seed):
    """The numbers with which the test fills its arrays."""
    n = torch.Size(shape).numel()
    return torch.sin(seed + 1.7 * torch.arange(n, dtype=torch.float64)).reshape(shape)


def show(name, x):
    print(f"{name}:", *(repr(v) for v in x.detach().double().flatten().tolist()))


def save(model, name, dtype=torch.float32):
    save_file({key: x.to(dtype) if x.is_floating_point() else x for key, x in model.state_dict().items()}, FOLDER / name)


print(f"# torch {torch.__version__}, by tests/oracle/torch_files.py")

# The example in the documentation of `save`.
linear = nn.Sequential(nn.Linear(3, 2))
with torch.no_grad():
    linear[0].weight.copy_(torch.arange(1.0, 7.0).reshape(2, 3))
    linear[0].bias.copy_(torch.tensor([7.0, 8.0]))
save(linear, "linear.safetensors")

torch.manual_seed(7)
model = nn.ModuleDict(
    OrderedDict(
        linear=nn.Linear(5, 3),
        square=nn.Linear(4, 4, bias=False),
        conv1=nn.Conv1d(2, 4, 3, groups=2),
        conv2=nn.Conv2d(2, 3, (3, 2)),
        embedding=nn.Embedding(6, 4),
        layer_norm=nn.LayerNorm(4),
        rms_norm=nn.RMSNorm(4, eps=1e-5),
        batch_norm=nn.BatchNorm2d(3),
        rnn_cell=nn.RNNCell(3, 4),
        rnn=nn.RNN(3, 4),
        gru=nn.GRU(3, 4),
        lstm=nn.LSTM(3, 4),
        attention=nn.MultiheadAttention(4, 2, batch_first=True),
    )
)
with torch.no_grad():
    for key, x in model.named_parameters():
        x.add_(0.1 * torch.randn(x.shape))
    for _ in range(3):
        model.batch_norm(torch.randn(4, 3, 2, 2) + 0.5)
save(model, "layers.safetensors")
save(model, "layers_f16.safetensors", torch.float16)
save(model, "layers_bf16.safetensors", torch.bfloat16)

for name, dtype in [("f32", torch.float32), ("f16", torch.float16), ("bf16", torch.bfloat16)]:
    wide = copy.deepcopy(model).to(dtype).double().eval()
    image, sequence = fill(2, 2, 4, 5, seed=1), fill(3, 2, 3, seed=2)
    tokens = fill(2, 3, 4, seed=3)
    show(f"{name} linear", wide.linear(fill(2, 5, seed=0)))
    show(f"{name} square", wide.square(fill(2, 4, seed=0)))
    show(f"{name} conv1", wide.conv1(fill(2, 2, 5, seed=0)))
    show(f"{name} conv2", wide.conv2(image))
    show(f"{name} embedding", wide.embedding(torch.tensor([4, 0, 4, 5])))
    show(f"{name} layer_norm", wide.layer_norm(tokens))
    show(f"{name} rms_norm", wide.rms_norm(tokens))
    show(f"{name} batch_norm", wide.batch_norm(wide.conv2(image)))
    show(f"{name} rnn_cell", wide.rnn_cell(fill(2, 3, seed=0), fill(2, 4, seed=4)))
    for cell in ["rnn", "gru", "lstm"]:
        show(f"{name} {cell}", wide[cell](sequence)[0])
    show(f"{name} attention", wide.attention(tokens, tokens, tokens)[0])

# All numbers of 16 bits as float32: the check sum of their bytes, with one NaN for all.
bits = torch.arange(1 << 16, dtype=torch.int32).to(torch.int16)
for name, dtype in [("f16", torch.float16), ("bf16", torch.bfloat16)]:
    x = bits.view(dtype).float()
    x[x.isnan()] = torch.tensor(0x7FC00000, dtype=torch.int32).view(torch.float32)
    print(f"all {name}: {zlib.crc32(x.numpy().tobytes())} {int(x.isnan().sum())}")
special = torch.tensor([0.0, -0.0, 2.0**-24, -(2.0**-14), 65504.0, float("inf"), float("-inf"), float("nan"), 1 / 3])
save_file({"f16": special.half(), "bf16": special.bfloat16()}, FOLDER / "special.safetensors")
for name, x in [("f16", special.half()), ("bf16", special.bfloat16())]:
    print(f"special {name}:", *(x.float().view(torch.int32).long() & 0xFFFFFFFF).tolist())
