"""The matmul speed of this device: the peak for model FLOPs utilisation."""

from __future__ import annotations

from ohlora.measure.clock import Clock

SIZES = {"cpu": (1024, 2048), "cuda": (4096, 8192)}
IN_A_ROW = {"cpu": 1, "cuda": 10}  # on a GPU one product takes little longer than waiting for it
BOUND_S = 0.5  # for all sizes together; each is timed at least once


def matmul_peak(device: str, dtype: str) -> float | None:
    """FLOP/s of the fastest square matmul in this precision; None if there is not enough memory.

    Call it after all other measurements: it takes memory and heats the device.
    """
    import torch

    clock, best = Clock(device), None
    for size in SIZES[device]:
        try:
            left, right = (torch.randn(size, size, device=device).to(getattr(torch, dtype)) for _ in range(2))
            out = left @ right  # the first product chooses and loads a kernel
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
