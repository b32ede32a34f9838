"""How fast this device multiplies matrices: the peak that model FLOPs utilisation is relative to."""

from __future__ import annotations

from ohlora.measure.clock import Clock

SIZES = {"cpu": (1024, 2048), "cuda": (4096, 8192)}
IN_A_ROW = {"cpu": 1, "cuda": 10}  # on a GPU one product is not much longer than waiting for it
BOUND_S = 0.5  # over all sizes; each is timed at least once


def matmul_peak(device: str, dtype: str) -> float | None:
    """FLOP/s of the fastest square matmul in this precision; None where there is no memory left for one.

    To be called when everything else has been measured: it takes memory and heats the device.
    """
    import torch

    clock, best = Clock(device), None
    for size in SIZES[device]:
        try:
            left, right = (torch.randn(size, size, device=device).to(getattr(torch, dtype)) for _ in range(2))
            out = left @ right  # the first one chooses and loads a kernel
            until = clock.now() + BOUND_S / len(SIZES[device])
            while True:
                started = clock.now()
                for _ in range(IN_A_ROW[device]):
                    torch.matmul(left, right, out=out)
                ended = clock.now()
                best = max(best or 0.0, IN_A_ROW[device] * 2 * size**3 / (ended - started))
                if ended >= until:
                    break
        except torch.OutOfMemoryError:
            break
    return best
