#!/usr/bin/python3
"""Golden values of the device operations, by PyTorch in double precision.

Writes device.txt beside itself: lines "name count" followed by the values.
"""
import os
import torch

torch.manual_seed(3)
torch.set_default_dtype(torch.float64)
out = open(os.path.join(os.path.dirname(os.path.abspath(__file__)), "device.txt"), "w")


def normal(*shape):
    """Values that float32 holds exactly."""
    return torch.randn(*shape).float().double()


def put(name, tensor):
    values = tensor.detach().reshape(-1).tolist()
    out.write("%s %d\n" % (name, len(values)))
    for i in range(0, len(values), 8):
        out.write(" ".join("%.9g" % v for v in values[i:i + 8]) + "\n")


# convolution: 2 x 3 x 7 x 6 -> 4, kernel 3, stride 2, padding 1
x, weight, dy = normal(2, 3, 7, 6).requires_grad_(), normal(4, 3, 3, 3).requires_grad_(), normal(2, 4, 4, 3)
y = torch.nn.functional.conv2d(x, weight, stride=2, padding=1)
y.backward(dy)
for name, t in [("x", x), ("weight", weight), ("dy", dy), ("y", y), ("dx", x.grad), ("dweight", weight.grad)]:
    put("conv." + name, t)

# batch norm + add + relu: 3 x 2 x 4 x 3
bn = torch.nn.BatchNorm2d(2, eps=1e-5, momentum=0.1)
with torch.no_grad():
    bn.weight.copy_(normal(2))
    bn.bias.copy_(normal(2))
    bn.running_mean.copy_(normal(2))
    bn.running_var.copy_(normal(2).abs() + 0.5)
put("bn.gamma", bn.weight)
put("bn.beta", bn.bias)
put("bn.running_mean", bn.running_mean)
put("bn.running_var", bn.running_var)
x, residual, dy = normal(3, 2, 4, 3).requires_grad_(), normal(3, 2, 4, 3).requires_grad_(), normal(3, 2, 4, 3)
put("bn.inferred", torch.relu(bn.eval()(x) + residual))
y = torch.relu(bn.train()(x) + residual)
y.backward(dy)
for name, t in [("x", x), ("residual", residual), ("dy", dy), ("y", y), ("dx", x.grad), ("dresidual", residual.grad),
                ("dgamma", bn.weight.grad), ("dbeta", bn.bias.grad), ("new_mean", bn.running_mean),
                ("new_var", bn.running_var)]:
    put("bn." + name, t)

# max pooling 2 x 2 x 5 x 6
x, dy = normal(2, 2, 5, 6).requires_grad_(), normal(2, 2, 3, 3)
y = torch.nn.functional.max_pool2d(x, 3, 2, 1)
y.backward(dy)
for name, t in [("x", x), ("dy", dy), ("y", y), ("dx", x.grad)]:
    put("pool." + name, t)

# five steps of Adam with weight decay; the gradient of step t is g t
w, g = normal(11).requires_grad_(), normal(11)
put("adam.w", w)
put("adam.g", g)
optimizer = torch.optim.Adam([w], lr=0.01, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.1)
for step in range(1, 6):
    w.grad = g * step
    optimizer.step()
put("adam.after", w)

# cosine normalisation and cross-entropy with one masked column a row
x, dy = normal(4, 6).requires_grad_(), normal(4, 6)
y = torch.nn.functional.normalize(x, dim=1)
y.backward(dy)
for name, t in [("x", x), ("dy", dy), ("y", y), ("dx", x.grad)]:
    put("normalize." + name, t)
logits = (3 * normal(4, 6)).float().double().requires_grad_()
mask = torch.zeros(4, 6, dtype=torch.bool)
mask[torch.arange(4), torch.arange(4)] = True
target = torch.tensor([2, 3, 0, 1])
loss = torch.nn.functional.cross_entropy(logits.masked_fill(mask, -torch.inf), target, reduction="none")
loss.sum().backward()
put("contrastive.logits", logits)
put("contrastive.loss", loss)
put("contrastive.gradient", logits.grad)
