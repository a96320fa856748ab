import pytest
import torch

from rlepose.datasets.crops import CropBatch
from rlepose.runtime.prefetch import on_device


def batches(count: int, pinned: bool = False) -> list[CropBatch]:
    labels = torch.zeros(2, 17, 2)
    made = [CropBatch.of_tensors(torch.full((2, 3, 8, 8), number), labels, labels) for number in range(count)]
    return [batch.pin_memory() if pinned else batch for batch in made]


def test_on_the_cpu_batches_pass_with_their_tensors() -> None:
    source = batches(3)
    passed = list(on_device(source, torch.device("cpu")))
    assert [batch for batch, _ in passed] == source
    assert [int(moved.image[0, 0, 0, 0]) for _, moved in passed] == [0, 1, 2]


def test_no_batch_is_asked_for_before_the_last_is_used() -> None:
    asked = []
    source = (asked.append(number) or batch for number, batch in enumerate(batches(3)))
    for number, _ in enumerate(on_device(source, torch.device("cpu"))):
        assert asked == list(range(number + 1))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA")
def test_on_cuda_a_batch_is_whole_when_it_is_used_and_the_host_does_not_wait() -> None:
    device = torch.device("cuda", torch.cuda.current_device())
    sums = []
    torch.cuda.set_sync_debug_mode("error")
    try:
        for _, moved in on_device(batches(20, pinned=True), device):
            torch.cuda._sleep(1_000_000)
            sums.append(moved.image.sum())
    finally:
        torch.cuda.set_sync_debug_mode("default")
    assert [int(total) for total in sums] == [2 * 3 * 8 * 8 * number for number in range(20)]
