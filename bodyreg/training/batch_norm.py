"""Batch normalisation of several processes that train together."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from bodyreg.errors import UserError
from bodyreg.training.processes import processes


class BatchNorm(nn.BatchNorm2d):
    """Batch normalisation whose batch is that of all processes that train together.

    So several processes end where one does, up to rounding. Sums are float32 in bfloat16 too.
    """

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> the same shape and type.

        Raises:
            UserError: the network learns, and a channel of its batch has one number alone.
        """
        if self.training and processes()[1] == 1 and x.shape[0] * x.shape[2:].numel() == 1:
            raise UserError(
                "a picture alone cannot teach a network whose innermost layers have one pixel: "
                "give a larger batch, or larger pictures"
            )
        if not self.training or processes()[1] == 1:
            return super().forward(x)
        from torch.distributed._functional_collectives import all_reduce

        world = torch.distributed.group.WORLD
        assert world is not None
        wide = x.to(torch.promote_types(x.dtype, torch.float32))
        size = wide.new_tensor([x.numel() / x.shape[1]])
        sums = all_reduce(torch.cat([size, wide.sum((0, 2, 3))]), "sum", world)
        count, mean = sums[0].detach(), sums[1:] / sums[0].detach()
        centred = wide - mean[:, None, None]
        variance = all_reduce(centred.square().sum((0, 2, 3)), "sum", world) / count
        if self.track_running_stats:
            self._follow(mean, variance * count / (count - 1))
        scale = self.weight * (variance + self.eps).rsqrt()
        return (centred * scale[:, None, None] + self.bias[:, None, None]).to(x.dtype)

    @torch.no_grad()
    def _follow(self, mean: Tensor, variance: Tensor) -> None:
        assert self.momentum is not None
        assert self.running_mean is not None
        assert self.running_var is not None
        assert self.num_batches_tracked is not None
        self.running_mean.lerp_(mean, self.momentum)
        self.running_var.lerp_(variance, self.momentum)
        self.num_batches_tracked += 1
