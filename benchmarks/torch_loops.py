"""The same games as loops in plain torch, as its tutorials write them."""

import torch
from torch import nn
from torch.nn import functional


class Maxout(nn.Module):
    """Maximum over `pieces` affine maps."""

    def __init__(self, inputs, units, pieces):
        super().__init__()
        self.linear, self.pieces = nn.Linear(inputs, units * pieces), pieces

    def forward(self, x):
        """See base class."""
        return self.linear(x).unflatten(1, (self.pieces, -1)).amax(1)


def mnist():
    """Return the nets of 2014 for MNIST."""
    generator = nn.Sequential(
        nn.Linear(100, 1200), nn.ReLU(), nn.Linear(1200, 1200), nn.ReLU(), nn.Linear(1200, 784),
        nn.Sigmoid(),
    )  # fmt: skip
    discriminator = nn.Sequential(
        nn.Dropout(0.2), Maxout(784, 240, 5), nn.Dropout(0.5), Maxout(240, 240, 5), nn.Dropout(0.5),
        nn.Linear(240, 1),
    )  # fmt: skip
    return generator, discriminator, (784,)


def dcgan(normalized=True, width=64):
    """Return the convolutional nets for 32×32×3."""

    def up(inputs, outputs, end=False):
        transposed = nn.ConvTranspose2d(inputs, outputs, 5, 2, 2, output_padding=1, bias=end)
        return [transposed, nn.Tanh()] if end else [transposed, nn.BatchNorm2d(outputs), nn.ReLU()]

    def down(inputs, outputs, norm=normalized):
        layers = [nn.Conv2d(inputs, outputs, 5, 2, 2, bias=not norm)]
        return [*layers, *([nn.BatchNorm2d(outputs)] if norm else []), nn.LeakyReLU(0.2)]

    generator = nn.Sequential(
        nn.Linear(100, 64 * width, bias=False), nn.BatchNorm1d(64 * width), nn.ReLU(),
        nn.Unflatten(1, (4 * width, 4, 4)), *up(4 * width, 2 * width), *up(2 * width, width),
        *up(width, 3, end=True),
    )  # fmt: skip
    discriminator = nn.Sequential(
        *down(3, width, norm=False), *down(width, 2 * width), *down(2 * width, 4 * width), nn.Flatten(),
        nn.Linear(64 * width, 1),
    )  # fmt: skip
    return generator, discriminator, (3, 32, 32)


def critic():
    """Return the same nets, without the critic's batch norm, which a gradient penalty rules out."""
    return dcgan(normalized=False)


class Loop:
    """The game of 2014. One pass makes the fakes of both updates, as in the DCGAN tutorial.

    In float16 gradients are scaled, as torch's recipes for mixed precision say.
    """

    def __init__(self, nets, optimizers, batch, discriminator_steps=1, device="cpu", dtype=None):
        self.generator, self.discriminator, shape = nets
        self.generator.to(device)
        self.discriminator.to(device)
        self.d_optimizer, self.g_optimizer = (
            make(net.parameters()) for make, net in zip(optimizers, nets[1::-1], strict=True)
        )
        self.device, self.batch, self.discriminator_steps = device, batch, discriminator_steps
        self.autocast = torch.autocast(device, dtype, enabled=dtype is not None)
        self.d_scaler, self.g_scaler = (
            torch.amp.GradScaler(device, enabled=dtype == torch.float16) for _ in range(2)
        )
        self.data = torch.rand(20 * batch, *shape, device=device)

    def run(self, steps):
        """Train."""
        for step in range(steps):
            for k in range(self.discriminator_steps):
                start = (step * self.discriminator_steps + k) % 20 * self.batch
                fakes = self.discriminator_step(self.data[start : start + self.batch])
            self.generator_step(fakes)
        if self.device == "cuda":
            torch.cuda.synchronize()

    def fakes(self):
        """Draw a batch."""
        return self.generator(torch.randn(self.batch, 100, device=self.device))

    def discriminator_step(self, real):
        """Return the fakes that the discriminator has seen."""
        with self.autocast:
            fakes = self.fakes()
            given = fakes.detach()
            loss = self.loss(self.discriminator(real), 1) + self.loss(self.discriminator(given), 0)
            loss = loss + self.penalty(real, given)
        move(loss, self.d_optimizer, self.d_scaler)
        return fakes

    def penalty(self, real, given):
        """Return the penalty of the discriminator's loss, or 0."""
        return 0.0

    def generator_step(self, fakes):
        """Move the generator."""
        with self.autocast:
            loss = self.loss(self.discriminator(fakes), 1)
        move(loss, self.g_optimizer, self.g_scaler)

    def loss(self, logits, label):
        """Return the cross-entropy with one label."""
        return functional.binary_cross_entropy_with_logits(logits, torch.full_like(logits, label))


class WassersteinLoop(Loop):
    """The Wasserstein game with a gradient penalty of weight 10."""

    def penalty(self, real, given):
        """See base class."""
        weights = torch.rand(self.batch, 1, 1, 1, device=self.device)
        between = (real + weights * (given - real)).requires_grad_()
        scores = self.d_scaler.scale(self.discriminator(between).sum())
        (gradient,) = torch.autograd.grad(scores, between, create_graph=True)
        norms = (gradient.float().flatten(1) / self.d_scaler.get_scale()).norm(dim=1)
        return 10.0 * ((norms - 1) ** 2).mean()

    def loss(self, logits, label):
        """Return minus the mean of what should be high, or the mean of what should be low."""
        return -logits.mean() if label else logits.mean()


def move(loss, optimizer, scaler):
    """Take a step down a loss."""
    optimizer.zero_grad()
    scaler.scale(loss).backward()
    scaler.step(optimizer)
    scaler.update()


def momentum(parameters):
    """The optimizer of the game on MNIST."""
    return torch.optim.SGD(parameters, 0.1, momentum=0.5)


def adam(parameters):
    """The optimizer of the convolutional games."""
    return torch.optim.Adam(parameters, 2e-4, betas=(0.5, 0.999))


def loop(case, compiled=False, **options):
    """Return the loop of one case of `benchmarks.cases`, whose batch an option may change."""
    kind, nets, optimizer, batch = {
        "mnist": (Loop, mnist, momentum, 100),
        "dcgan": (Loop, dcgan, adam, 64),
        "wgan-gp": (WassersteinLoop, critic, adam, 64),
    }[case]
    *nets, shape = nets()
    if compiled:
        nets = [torch.compile(net) for net in nets]
    return kind((*nets, shape), [optimizer, optimizer], **{"batch": batch, **options})
