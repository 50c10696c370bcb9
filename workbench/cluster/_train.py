"""Ray Train's run of one training. It is driven from the cluster: a client of one could not."""

from __future__ import annotations

import os
import sys
from typing import Any

from workbench.cluster._divide import Group
from workbench.cluster._mail import own_folder
from workbench.cluster._worker import work

_START_SECONDS = "1800"  # a cluster may be busy, and a machine slow; Ray begins anew after this
_PATIENCE = 6 * 3600  # seconds that ranks wait for each other: a large checkpoint is on its way


def train(mailbox: Any, group: Group, alone: bool) -> None:
    """Run the workers to their end. `alone`: on a cluster of this machine only."""
    from ray.train import FailureConfig, RunConfig, ScalingConfig
    from ray.train.torch import TorchConfig, TorchTrainer

    os.environ["RAY_TRAIN_WORKER_GROUP_START_TIMEOUT_S"] = _START_SECONDS
    each = {"CPU": group.cores, **({"GPU": 1} if group.gpu else {})}
    torch: dict[str, Any] = {"backend": "nccl" if group.gpu else "gloo", "timeout_s": _PATIENCE}
    with own_folder("workbench-train-") as folder:
        ranks = _loopback()(init_method=f"file://{folder}/ranks", **torch) if alone else None
        TorchTrainer(
            work, train_loop_config={"mailbox": mailbox, "cores": group.cores},
            torch_config=ranks or TorchConfig(**torch),
            scaling_config=ScalingConfig(
                num_workers=group.workers, use_gpu=group.gpu, resources_per_worker=each
            ),
            # what is learnt on from are the job's own checkpoints: nothing is stored there
            run_config=RunConfig(
                name="run", storage_path=str(folder), failure_config=FailureConfig(max_failures=0),
                worker_runtime_env={"env_vars": _environment(group, alone)},
            ),
        ).fit()  # fmt: skip


def _environment(group: Group, alone: bool) -> dict[str, str]:
    """What PyTorch reads when it is loaded, see `work.use_cores`."""
    loopback = "lo0" if sys.platform == "darwin" else "lo"
    return {
        "OMP_NUM_THREADS": str(group.cores), "OMP_WAIT_POLICY": "PASSIVE", "HF_HUB_OFFLINE": "1",
        "ONEDNN_PRIMITIVE_CACHE_CAPACITY": "64", "LRU_CACHE_CAPACITY": "64",
        **({} if group.gpu else {"CUDA_VISIBLE_DEVICES": ""}),
        **({"GLOO_SOCKET_IFNAME": loopback, "NCCL_SOCKET_IFNAME": loopback} if alone else {}),
    }  # fmt: skip


def _loopback() -> Any:
    """A TorchConfig whose ranks meet in a file: PyTorch's other way, a small server in rank 0,
    listens on every interface of the machine."""
    import ray
    from ray.train.torch import config

    class InFile(config._TorchBackend):  # type: ignore[misc]
        def on_start(self, worker_group: Any, backend_config: Any) -> None:
            worker_group.execute(config._set_torch_distributed_env_vars)
            size = len(worker_group)
            ray.get([
                worker_group.execute_single_async(
                    rank, config._setup_torch_process_group, world_rank=rank, world_size=size,
                    **backend_config.to_dict(),
                )
                for rank in range(size)
            ])  # fmt: skip

    class Loopback(config.TorchConfig):  # type: ignore[misc]
        @property
        def backend_cls(self) -> Any:
            return InFile

    return Loopback
