"""The spatial-spectral layer against naive loops written from the formulas."""

from __future__ import annotations

import pytest
import torch

from hsimisr.networks.s2tl import (
    WINDOW,
    NoiseConditionedLayer,
    SpatialSpectralLayer,
    SpectralAttention,
    WindowAttention,
)


@pytest.fixture(autouse=True)
def seed():
    torch.manual_seed(0)


def test_window_attention_is_softmax_attention_within_each_window():
    layer = WindowAttention(6, 2, shifted=False)
    torch.nn.init.normal_(layer.position_bias)
    x = torch.randn(3, 2 * WINDOW, WINDOW, 6)
    found = layer(x)
    guide = x.mean(0)
    query, key = layer.query_key(guide).chunk(2, -1)
    value = layer.value(x)
    for top in (0, WINDOW):
        for y, x0 in ((0, 0), (3, 5), (7, 7)):
            parts = []
            for head in range(2):
                channels = slice(3 * head, 3 * head + 3)
                scores = torch.empty(WINDOW, WINDOW)
                for v in range(WINDOW):
                    for u in range(WINDOW):
                        place = (y - v + WINDOW - 1) * (2 * WINDOW - 1) + x0 - u + WINDOW - 1
                        dot = query[top + y, x0, channels] @ key[top + v, u, channels]
                        scores[v, u] = dot / 3**0.5 + layer.position_bias[head, place]
                share = torch.softmax(scores.flatten(), 0).reshape(WINDOW, WINDOW)
                parts.append(torch.einsum("vu,nvuc->nc", share, value[:, top : top + WINDOW, :, channels]))
            torch.testing.assert_close(found[:, top + y, x0], layer.out(torch.cat(parts, -1)), atol=1e-5, rtol=1e-4)


def test_shifted_windows_are_windows_of_the_rolled_image():
    plain, shifted = WindowAttention(4, 1, shifted=False), WindowAttention(4, 1, shifted=True)
    shifted.load_state_dict(plain.state_dict())
    x, half = torch.randn(1, 2 * WINDOW, 2 * WINDOW, 4), WINDOW // 2
    expected = plain(x.roll((-half, -half), (1, 2))).roll((half, half), (1, 2))
    torch.testing.assert_close(shifted(x), expected)


@pytest.mark.parametrize("shifted", [False, True])
def test_any_size_will_do(shifted):
    assert WindowAttention(4, 1, shifted)(torch.randn(2, 11, 5, 4)).shape == (2, 11, 5, 4)


def test_spectral_attention_is_softmax_over_channels():
    layer = SpectralAttention(6, 2)
    torch.nn.init.uniform_(layer.temperature, 0.5, 2)
    x, source = torch.randn(3, 4, 5, 6), torch.randn(3, 4, 5, 6)
    found = layer(x, source)
    seen = source + layer.shared(source.mean(0, keepdim=True))
    query, (key, value) = layer.query(x), layer.key_value(seen).chunk(2, -1)
    for n in range(3):
        parts = []
        for head in range(2):
            q, k, v = (part[n].reshape(20, 6)[:, 3 * head : 3 * head + 3] for part in (query, key, value))
            mixed = torch.zeros(20, 3)
            for i in range(3):
                alike = torch.stack([q[:, i] @ k[:, j] / q[:, i].norm() / k[:, j].norm() for j in range(3)])
                share = torch.softmax(layer.temperature[head, 0, 0] * alike, 0)
                mixed[:, i] = sum(share[j] * v[:, j] for j in range(3))
            parts.append(mixed)
        torch.testing.assert_close(found[n].reshape(20, 6), layer.out(torch.cat(parts, -1)), atol=1e-5, rtol=1e-4)


def test_layers_do_not_care_for_the_order_of_eigen_images():
    x, condition, order = torch.randn(4, 9, 10, 8), torch.randn(4, 9, 10, 8), torch.tensor([2, 0, 3, 1])
    layer = SpatialSpectralLayer(8, 2, shifted=True)
    torch.testing.assert_close(layer(x)[order], layer(x[order]), atol=1e-5, rtol=1e-4)
    conditioned, noise = NoiseConditionedLayer(8, 2, shifted=False), torch.randn(8)
    found = conditioned(x, condition, noise)
    torch.testing.assert_close(found[order], conditioned(x[order], condition[order], noise), atol=1e-5, rtol=1e-4)
    assert not torch.allclose(found, conditioned(x, condition, -noise))
