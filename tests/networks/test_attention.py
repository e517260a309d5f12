"""Attention cells against loops written from the formulas."""

from __future__ import annotations

import math

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from hsimisr.networks.deformable import REACH, GuidedDeformableAttention
from hsimisr.networks.essa import EssaAttention


def bilinear(image, y, x):
    """One sample ``(C,)`` of ``(C, h, w)``, 0 outside."""
    c, h, w = image.shape
    y0, x0 = math.floor(y), math.floor(x)
    total = torch.zeros(c)
    for row, wy in ((y0, 1 - (y - y0)), (y0 + 1, y - y0)):
        for col, wx in ((x0, 1 - (x - x0)), (x0 + 1, x - x0)):
            if 0 <= row < h and 0 <= col < w:
                total = total + wy * wx * image[:, row, col]
    return total


def naive_guided_attention(cell, query, frames, images, positions, seen):
    k, c, h, w = frames.shape
    groups, d, n = cell.groups, c // cell.groups, images.shape[1]
    asked, out = cell.query(query), torch.zeros(n, groups, h, w)
    keys = cell.key(frames)
    guided = torch.zeros_like(frames)
    for f in range(k):
        for i in range(h):
            for j in range(w):
                guided[f, :, i, j] = bilinear(frames[f], *positions[f, i, j].tolist())
    offsets = REACH * torch.tanh(cell.offsets(torch.cat([query.expand(k, -1, -1, -1), guided], 1)))
    for i in range(h):
        for j in range(w):
            for g in range(groups):
                part, scores, values = slice(g * d, (g + 1) * d), [], []
                for f in range(k):
                    for tap, (dy, dx) in enumerate((a, b) for a in (-1, 0, 1) for b in (-1, 0, 1)):
                        move = offsets[f, (g * 9 + tap) * 2 : (g * 9 + tap) * 2 + 2, i, j]
                        y = float(positions[f, i, j, 0] + dy + move[0])
                        x = float(positions[f, i, j, 1] + dx + move[1])
                        trust = max(float(bilinear(seen[f], y, x)), 1e-6)
                        key = bilinear(keys[f][part], y, x)
                        scores.append((asked[part, i, j] * key).sum() / math.sqrt(d) + math.log(trust))
                        values.append(bilinear(images[f], y, x))
                share = torch.softmax(torch.stack(scores), 0)
                out[:, g, i, j] = (share[:, None] * torch.stack(values)).sum(0)
    return out


def cell_and_inputs(seed, k=2, c=4, h=3, w=4, n=3):
    torch.manual_seed(seed)
    cell = GuidedDeformableAttention(c, 2)
    torch.nn.init.normal_(cell.offsets[-1].weight)
    grid = torch.stack(torch.meshgrid(torch.arange(h), torch.arange(w), indexing="ij"), -1).float()
    positions = grid + torch.randn(k, 1, 1, 2)
    return (
        cell,
        torch.randn(c, h, w),
        torch.randn(k, c, h, w),
        torch.randn(k, n, h, w),
        positions,
        torch.rand(k, 1, h, w),
    )


@torch.no_grad()
def test_guided_attention_is_its_formula():
    cell, *inputs = cell_and_inputs(0)
    assert torch.allclose(cell(*inputs), naive_guided_attention(cell, *inputs), atol=1e-5)


@torch.no_grad()
def test_guided_attention_turns_with_the_sign_of_its_images():
    cell, query, frames, images, positions, seen = cell_and_inputs(3)
    signs = torch.tensor([-1.0, 1.0, -1.0])[:, None, None]
    expected = cell(query, frames, images, positions, seen) * signs[:, None]
    assert torch.allclose(cell(query, frames, images * signs, positions, seen), expected, atol=1e-6)


@given(st.permutations(range(4)))
@settings(max_examples=5, deadline=None)
@torch.no_grad()
def test_guided_attention_does_not_know_the_order_of_frames(order):
    cell, query, *of_frames = cell_and_inputs(1, k=4)
    expected = cell(query, *of_frames)
    assert torch.allclose(cell(query, *(part[list(order)] for part in of_frames)), expected, atol=1e-5)


@torch.no_grad()
def test_a_frame_that_saw_nothing_counts_for_nothing():
    cell, query, *of_frames = cell_and_inputs(2, k=3)
    of_frames[-1][1] = 0
    expected = cell(query, *(part[[0, 2]] for part in of_frames))
    assert torch.allclose(cell(query, *of_frames), expected, atol=1e-3)


@torch.no_grad()
def test_untrained_offsets_stay_where_the_registration_says():
    torch.manual_seed(0)
    cell = GuidedDeformableAttention(4, 2)
    assert not cell.offsets(torch.randn(1, 8, 5, 5)).any()


@torch.no_grad()
def test_essa_attention_is_its_formula():
    torch.manual_seed(0)
    c, h, w = 6, 3, 4
    cell, guide, x = EssaAttention(c), torch.randn(1, c, h, w), torch.randn(2, c, h, w)
    q, k = cell.query_key(guide).reshape(2, c, h * w).transpose(1, 2)  # by pixel
    q, k = (t - t.mean(1, keepdim=True) for t in (q, k))
    n = h * w
    for image, found in zip(cell.value(x).flatten(2).transpose(1, 2), cell(guide, x), strict=True):
        out = torch.zeros(n, c)
        for i in range(n):
            a = q[i] ** 2 / (q[i] ** 2).square().sum().sqrt()
            total = torch.zeros(c)
            for j in range(n):
                b = k[j] ** 2 / torch.stack([(k[m] ** 2).square() for m in range(n)]).sum(0).sqrt()
                total += (a * b).sum() * image[j]
            out[i] = image[i] + total / math.sqrt(n)
        assert torch.allclose(found, cell.out(out.T.reshape(1, c, h, w))[0], atol=1e-5)


@torch.no_grad()
def test_essa_attention_ignores_brightness_and_strength_of_its_guide():
    torch.manual_seed(0)
    cell, guide, x = EssaAttention(6), torch.randn(1, 6, 4, 5), torch.randn(2, 6, 4, 5)
    cell.query_key.weight.data[:] = torch.eye(6).repeat(2, 1)[:, :, None, None]
    cell.query_key.bias.data.zero_()
    assert torch.allclose(cell(3 * guide + 2, x), cell(guide, x), atol=1e-5)
