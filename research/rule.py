"""Reference implementation: a distance calibrated on the archive itself, bounded edges, and a rule that does not chain.

calibrate(E) -> Calibration (no labels, nothing by hand); offsets(E, calibration); edges(...); group(...).
`python rule.py SET.npz...` prints quality. Deterministic: the only order used is that of `rank_of` (a hash of the face id).
"""
from __future__ import annotations
import hashlib, heapq, sys
from dataclasses import dataclass
import numpy as np

# The generation's constants. All distances below are relative to `reach0`, the 0.2 % stranger quantile of the reference.
BANKS, LARGEST_BANK, SMALLEST_BANK = 2, 640, 320
RANK, SKIP = 5, 1             # offset: mean of the 2nd to 6th nearest of a bank, averaged over banks
STRANGERS = 2e-3              # quantile of reference pairs that pins the scale
REACH, EVIDENCE = -0.015, 0.10   # edges up to reach0 + REACH; summed (reach - d) of two groups / sqrt(pairs) must be EVIDENCE
RELATIVE, RELATIVE_SINGLE = 0.25, 0.15   # cross similarity at least this share of the weaker group's inner one; of a group's, for one face
EDGES = 64
PER_E_FOLD = 0.018            # how far the stranger quantile moves when N grows e-fold
BASE = 5325                   # N at which the shift is 0 (below: none)
RAW_SINGLE, RAW_STRICTER = 0.12, 0.06

def distances(A, B):
    m = A.mean(0, dtype=np.float64); A = (A - m).astype(np.float32); B = (B - m).astype(np.float32)
    d = (A * A).sum(1)[:, None] + (B * B).sum(1)[None] - 2 * (A @ B.T)
    return np.sqrt(np.maximum(d, 0))

def rank_of(face_ids):
    return np.argsort([hashlib.sha256(str(i).encode()).digest() for i in face_ids], kind="stable")

def nearest_mean(X, k, skip):
    X = np.partition(X, skip + k, axis=1)[:, :skip + k]; X.sort(1)
    return X[:, skip:skip + k].mean(1)

@dataclass(frozen=True)
class Calibration:
    banks: tuple            # BANKS arrays (M, d): faces of the archive, one a cluster
    reach0: float

def offsets(E, cal, skip=SKIP):
    """A reference face that is E's own counts as the one skipped."""
    return np.mean([nearest_mean(distances(E, R), RANK, skip) for R in cal.banks], axis=0)

def shift(n):
    return -PER_E_FOLD * max(0.0, np.log(n / BASE))

def edges(E, o, reach, k=EDGES, block=1000):
    """Each face's k nearest by calibrated distance within reach, ties by position; an edge stands if either end keeps it."""
    n = len(E); out = []
    for s in range(0, n, block):
        C = distances(E[s:s + block], E) - (o[s:s + block, None] + o[None]) / 2
        C[np.arange(len(C)), np.arange(s, s + len(C))] = np.inf
        kk = min(k, n - 1); j = np.argpartition(C, kk - 1, axis=1)[:, :kk]; d = np.take_along_axis(C, j, 1)
        i = np.repeat(np.arange(s, s + len(C)), kk); m = d.ravel() <= reach; out.append(np.c_[i, j.ravel(), d.ravel()][m])
    e = np.concatenate(out); a, b = np.minimum(e[:, 0], e[:, 1]), np.maximum(e[:, 0], e[:, 1])
    _, u = np.unique(a * n + b, return_index=True)
    return a[u].astype(int), b[u].astype(int), e[u, 2]

def group(n, one, other, d, reach, single, join, power=0.5, relative=RELATIVE, alone=RELATIVE_SINGLE, linked=(), separated=()):
    """The parts of faces 0..n-1 (0 = smallest id): constrained agglomeration, best pair first, ties by smallest members.

    Similarity of two groups: the sum of (reach - d) over their edges, over ALL pairs of members (a missing edge is 0).
    They may join while reach - similarity + (join - single) / (|A||B|)^power <= join (with join = reach: evidence, i.e. summed
    similarity / sqrt(pairs), >= EVIDENCE), and similarity >= relative * the smaller of their inner means (alone *, for one face). must-links join first; cannot-links forbid.
    """
    parent = list(range(n)); size = [1] * n; inner = [0.0] * n; version = [0] * n
    near = [dict() for _ in range(n)]; foes = [set() for _ in range(n)]
    for a, b, x in zip(one.tolist(), other.tolist(), d.tolist()):
        if x <= reach: near[a][b] = near[b][a] = reach - x
    for a, b in separated: foes[a].add(b); foes[b].add(a)
    least = list(range(n)); heap = []
    def offer(a, b):
        pairs = size[a] * size[b]; s = near[a][b] / pairs
        if b in foes[a]: return
        if size[a] > 1 and size[b] > 1:
            if s < relative * min(inner[a] / (size[a] * (size[a] - 1) / 2), inner[b] / (size[b] * (size[b] - 1) / 2)): return
        elif pairs > 1:
            g = a if size[a] > 1 else b
            if s < alone * inner[g] / (size[g] * (size[g] - 1) / 2): return
        cost = reach - s + (join - single) * pairs ** -power
        if cost <= join:
            if least[a] > least[b]: a, b = b, a
            heapq.heappush(heap, (cost, least[a], least[b], a, b, version[a], version[b]))
    def merge(a, b):
        if len(near[a]) < len(near[b]): a, b = b, a
        inner[a] += inner[b] + near[a].pop(b, 0.0); near[b].pop(a, None)
        size[a] += size[b]; parent[b] = a; version[a] += 1; version[b] = -1; least[a] = min(least[a], least[b])
        for x, s in near[b].items():
            del near[x][b]; near[a][x] = near[x][a] = near[a].get(x, 0.0) + s
        for x in foes[b]: foes[x].discard(b); foes[x].add(a)
        foes[a] |= foes[b]; near[b] = {}; return a
    def root(x):
        while parent[x] != x: x = parent[x]
        return x
    for a, b in linked:
        a, b = root(a), root(b)
        if a != b and b not in foes[a]: merge(a, b)
    for a in range(n):
        if parent[a] == a:
            for b in near[a]:
                if a < b: offer(a, b)
    while heap:
        _, _, _, a, b, va, vb = heapq.heappop(heap)
        if version[a] == va and version[b] == vb:
            a = merge(a, b)
            for x in near[a]: offer(a, x)
    return np.array([least[root(x)] for x in range(n)])

def banks_of(parts, order, lo=SMALLEST_BANK, hi=LARGEST_BANK, banks=BANKS):
    """Positions: one face a group, groups of two or more first, in hash order; bank b takes a group's b-th face."""
    l = parts[order]; _, inv, s = np.unique(l, return_inverse=True, return_counts=True)
    o = np.argsort(inv, kind="stable"); start = np.r_[0, np.cumsum(s)[:-1]]; groups = np.lexsort((o[start], -np.minimum(s, 2)))
    several = int((s >= 2).sum()); M = int(np.clip(several, lo, hi)); out = []
    for b in range(banks):
        pick = groups[:M]
        if several < M:
            rest = groups[several:]; need = M - several; pick = np.r_[groups[:several], np.roll(rest, -(b * need) % len(rest))[:need]]
        out.append(order[o[start[pick] + b % s[pick]]])
    return out

def quantile(E, o, r, share=STRANGERS):
    """The calibrated distance that this share of the pairs of these faces is within."""
    C = distances(E[r], E[r]) - (o[r][:, None] + o[r][None]) / 2
    v = np.sort(C[np.triu_indices(len(r), 1)]); return float(v[int(len(v) * share)])

def firsts(parts, order):
    l = parts[order]; _, f = np.unique(l, return_index=True); f.sort(); return order[f]

def union(a, b):
    """The finest partition coarser than both."""
    from scipy.sparse import coo_array; from scipy.sparse.csgraph import connected_components
    n = len(a); a = np.unique(a, return_inverse=True)[1]; b = np.unique(b, return_inverse=True)[1]
    i = np.r_[np.arange(n), np.arange(n)]; j = np.r_[n + a, n + a.max() + 1 + b]; m = n + a.max() + b.max() + 2
    return connected_components(coo_array((np.ones(len(i)), (i, j)), (m, m)), directed=False)[1][:n]

def calibrate(E, order, group=group):
    """The reference of (a sample of at most ~10,000 faces of) an archive. No labels; a function of the faces alone.

    1. Three rounds on the Euclidean distance (offset 0). The reach is the STRANGERS quantile of one face a group. Same-person
       pairs in it only make it stricter, so it opens by itself as groups form: a person of 7 % of the archive is found here.
    2. A stricter Euclidean partition: what is in one group there counts as one person for the reference for ever after.
    3. Four rounds with banks: groups of the round before, united with 2; skip 4, 2, 2, then 1.
    """
    n = len(E); parts = np.arange(n); zero = np.zeros(n)
    for _ in range(3):
        q = quantile(E, zero, firsts(parts, order)[:2000]); parts = group(n, *edges(E, zero, q), q, q - RAW_SINGLE, q, relative=.35, alone=0.)
    q = quantile(E, zero, firsts(parts, order)[:2000]) - RAW_STRICTER
    sure = group(n, *edges(E, zero, q), q, q - RAW_SINGLE, q, relative=.5, alone=0.)
    refs = banks_of(parts, order)
    for skip in (4, 2, 2, SKIP):
        cal = Calibration(tuple(E[r] for r in refs), 0.0); o = offsets(E, cal, skip)
        reach0 = float(np.mean([quantile(E, o, r) for r in refs]))
        if skip != SKIP:
            R = reach0 - 0.01; parts = group(n, *edges(E, o, R), R, R - 0.09, R, relative=.35, alone=0.); refs = banks_of(union(sure, parts), order)
    return Calibration(cal.banks, reach0)

def cluster(E, cal, n_archive=None, group=group, **decisions):
    o = offsets(E, cal); s = cal.reach0 + shift(n_archive or len(E))
    e = edges(E, o, s + REACH)
    return group(len(E), *e, s + REACH, s + REACH - EVIDENCE, s + REACH, **decisions), e

def fast(n, one, other, d, reach, single, join, power=.5, relative=RELATIVE, alone=RELATIVE_SINGLE):
    """The same in C++ (hac.cpp), for experiments; no decisions."""
    from g import hac
    return hac(n, (one.astype(np.int32), other.astype(np.int32), d.astype(np.float32)), reach, single, join, 9, 2, power, rho=relative, rs=alone)

if __name__ == "__main__":
    import time
    from ev import prf
    G = fast if "--fast" in sys.argv else group
    for path in [a for a in sys.argv[1:] if not a.startswith("-")]:
        z = np.load(path, allow_pickle=True); E, F = z["E"].astype(np.float64), z["F"]; y = np.unique([str(f).split("/")[0] for f in F], return_inverse=True)[1]
        t = time.time(); cal = calibrate(E, rank_of(F), G); t1 = time.time(); parts, e = cluster(E, cal, group=G)
        print(path.split("/")[-1], "P %.4f R %.4f F %.4f clusters %d largest %d" % prf(parts, y), "edges/face %.1f reach0 %.3f banks %s" % (2 * len(e[0]) / len(E), cal.reach0, [len(b) for b in cal.banks]), "calibrate %.0fs cluster %.0fs" % (t1 - t, time.time() - t1), flush=True)
