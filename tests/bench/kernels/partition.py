"""Streams on disjoint shares of one GPU's multiprocessors: ranks that spin for each other must all be
resident. Needs cuda-bindings and CUDA 12.4 or later."""

import torch


class Unpartitioned(Exception):
    """Why the GPU cannot be divided."""


def streams(shares: int) -> tuple:
    """([a stream for each share], multiprocessors of a share). Green contexts: what runs on a stream
    is placed on its share only, graphs that were captured from it too. They live until the process
    ends."""
    try:
        from cuda.bindings import driver
    except ImportError as error:
        raise Unpartitioned("cuda-bindings is not installed") from error

    def call(name: str, *arguments):
        if not hasattr(driver, name):
            raise Unpartitioned(f"cuda-bindings has no {name}")
        code, *results = getattr(driver, name)(*arguments)
        if int(code) != 0:
            raise Unpartitioned(f"{name}: {code.name}")
        return results[0] if len(results) == 1 else results

    torch.cuda.init()
    device = call("cuDeviceGet", torch.cuda.current_device())
    everything = call("cuDeviceGetDevResource", device,
                      driver.CUdevResourceType.CU_DEV_RESOURCE_TYPE_SM)
    # Clusters of eight blocks want multiples of eight.
    least = everything.sm.smCount // shares // 8 * 8
    groups, _, _ = call("cuDevSmResourceSplitByCount", shares, everything, 0, least)
    made = []
    for group in groups:
        description = call("cuDevResourceGenerateDesc", [group], 1)
        context = call("cuGreenCtxCreate", description, device,
                       driver.CUgreenCtxCreate_flags.CU_GREEN_CTX_DEFAULT_STREAM)
        stream = call("cuGreenCtxStreamCreate", context,
                      driver.CUstream_flags.CU_STREAM_NON_BLOCKING, 0)
        made.append(torch.cuda.ExternalStream(int(stream)))
    return made, groups[0].sm.smCount
