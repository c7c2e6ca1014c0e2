"""Synthetic archives of any size with the stranger tail, hubs and within-person spread of a set of real embeddings.

fit(E, people) -> World; World.sample(n, seed) -> (E float32 (n, 128), person int (n,)).
A person's centre = mean + radius * sum of m deviations of real people's faces, (shrunk to the between-people covariance, spectrum
raised to gamma, trace kept), each with a random sign-free weight 1/sqrt(m). A face = centre + person scale * a real
within-person difference turned to the within covariance. Two knobs (gamma: effective dimension; sigma: spread of radii =
hubs) and the trace are fitted to the stranger tail.
"""
from __future__ import annotations
import numpy as np
from dataclasses import dataclass

TYPE_WEIGHTS = (0.8, 0.98)
RADII = (0.37, 0.42, 0.5, 0.6)

def dist(A, B=None):
    B = A if B is None else B
    m = A.mean(0, dtype=np.float64).astype(np.float32); A = A.astype(np.float32) - m; B = B.astype(np.float32) - m
    d = (A * A).sum(1)[:, None] + (B * B).sum(1)[None] - 2 * (A @ B.T)
    return np.sqrt(np.maximum(d, 0, out=d), out=d)

def tail(E, y, radii=RADII, block=2000):
    n = len(E); hits = np.zeros(len(radii)); pairs = 0
    for s in range(0, n, block):
        d = dist(E[s:s + block], E[s:]); i = np.arange(s, min(s + block, n))
        other = (y[i][:, None] != y[s:][None]) & (np.arange(s, n)[None] > i[:, None])
        v = d[other]; pairs += len(v); hits += [(v <= r).sum() for r in radii]
    return hits / pairs

@dataclass
class World:
    mean: np.ndarray; deviations: np.ndarray; within: np.ndarray; scales: np.ndarray
    gamma: float; sigma: float; trace: float; m: int; sizes: np.ndarray
    wscale: float = 1.0
    alike: float = 0.0      # share of people who lean on one 'type' (one donor) with a weight in TYPE_WEIGHTS: the extreme tail

    def _axes(self):
        U, s, V = np.linalg.svd(self.deviations, full_matrices=False)
        f = (s / s[0]) ** (self.gamma - 1); f *= np.sqrt((s ** 2).sum() / ((s * f) ** 2).sum())
        return (V.T * f) @ V

    def centres(self, n, rng):
        T = self._axes(); D = self.deviations @ T; m = self.m
        out = np.zeros((n, D.shape[1]))
        for _ in range(m):
            out += D[rng.integers(0, len(D), n)]
        out /= np.sqrt(m)
        typed = np.flatnonzero(rng.random(n) < self.alike)
        lean = rng.uniform(*TYPE_WEIGHTS, len(typed))[:, None]
        out[typed] = lean * D[rng.integers(0, len(D), len(typed))] + np.sqrt(1 - lean ** 2) * out[typed]
        radius = np.exp(rng.normal(0, self.sigma, n) - self.sigma ** 2)
        return self.mean + out * self.trace * radius[:, None]

    def sample(self, n, seed=0, largest=None):
        rng = np.random.default_rng(seed)
        sizes = []; total = 0
        while total < n:
            k = int(self.sizes[rng.integers(len(self.sizes))]) if largest is None else None
            if k is None:
                a = np.arange(1, largest + 1); p = 1 / a ** 2.0; k = int(rng.choice(a, p=p / p.sum()))
            sizes.append(k); total += k
        y = np.repeat(np.arange(len(sizes)), sizes)[:n]; y = rng.permutation(y)
        C = self.centres(len(sizes), rng); sc = self.scales[rng.integers(0, len(self.scales), len(sizes))]
        w = (self.within[rng.integers(0, len(self.within), n)] + self.within[rng.integers(0, len(self.within), n)]) / np.sqrt(2)
        w *= np.where(rng.random(n) < .5, 1, -1)[:, None]
        return (C[y] + w * (sc[y] * self.wscale)[:, None]).astype(np.float32), y

def fit(E, y, donor=None, m=2, seed=1, tries=60, n=5000, verbose=False):
    rng = np.random.default_rng(seed); E = E.astype(np.float64)
    We, Wy = (E, y) if donor is None else donor
    We = We.astype(np.float64); cnt = np.bincount(Wy); res = []; sc = []
    for p in np.flatnonzero(cnt >= 4):
        x = We[Wy == p]; r = (x - x.mean(0)) * np.sqrt(len(x) / (len(x) - 1)); s = np.sqrt((r ** 2).sum(1).mean()); sc.append(s)
        pick = rng.permutation(len(x))[:8]; res.append(r[pick] / s)
    within = np.concatenate(res); sc = np.array(sc)
    one = np.array([rng.choice(np.flatnonzero(y == p)) for p in np.unique(y)])
    mean = E[one].mean(0); X = E[one] - mean
    # shrink faces to centres: A = B^1/2 (B+W)^-1/2 with B = T - W (clipped)
    T = np.cov(X.T); W = np.cov((within * np.sqrt((sc ** 2).mean())).T)
    lam, V = np.linalg.eigh(T); lam = np.maximum(lam, 1e-9); Wd = np.einsum('ij,jk,ki->i', V.T, W, V)
    a = np.sqrt(np.clip(1 - Wd / lam, 0.02, 1)); X = X @ (V * a) @ V.T
    target = np.maximum(tail(E, y), [1e-9] * 4)
    best = None; g, s, t, al = 1.0, .05, .95, .3
    wt = np.array([.8, 1, 1, .6])
    for i in range(tries):
        if i == 0: c = (g, s, t, al)
        else:
            b = best[1]; q = .5 if i < tries // 2 else .2
            c = (float(np.clip(b[0] + q * rng.normal(0, .2), .5, 1.6)), min(.12, abs(b[1] + q * rng.normal(0, .08))), b[2] * np.exp(q * rng.normal(0, .06)), min(.9, b[3] * np.exp(q * rng.normal(0, .8))))
        w = World(mean, X, within, sc, c[0], c[1], c[2], m, cnt[cnt > 0], 1.0, c[3])
        r2 = np.random.default_rng(7); C = w.centres(n, r2); f = C + within[r2.integers(0, len(within), n)] * sc[r2.integers(0, len(sc), n)][:, None]
        got = np.maximum(tail(f, np.arange(n)), 3e-8); cost = (wt * np.log(got / target) ** 2).sum()
        if best is None or cost < best[0]:
            best = (cost, c, got)
            if verbose: print('  fit', i, round(cost, 3), np.round(c, 3), got)
    w = World(mean, X, within, sc, *best[1][:3], m, cnt[cnt > 0], 1.0, best[1][3])
    return w
if __name__ == '__main__':
    import time
    from base import load
    L = {n: load(n) for n in ('lfw_dev', 'lfw_dev_faded', 'archival_portraits')}
    def stats(E, y, name):
        n = len(E); idx = np.random.default_rng(0).permutation(n)[:5000]; E5, y5 = E[idx], y[idx]
        d = dist(E5); same = (y5[:, None] == y5[None]) & (np.arange(len(d))[:, None] < np.arange(len(d))[None]); sv = d[same]
        one = np.unique(y5, return_index=True)[1][:2000]; X = d[np.ix_(one, one)].copy(); np.fill_diagonal(X, 9)
        o = np.sort(X, 1)[:, :5].mean(1); occ = np.bincount(np.argsort(X, 1)[:, :10].ravel(), minlength=len(one)); z = (occ - occ.mean()) / occ.std()
        print(name, 'n', n, 'people', len(np.unique(y)), 'tail', ['%.2g' % v for v in tail(E[:20000], y[:20000])], 'same q5/50/95', np.quantile(sv, [.05, .5, .95]).round(3) if len(sv) else '-', 'offset mean %.3f sd %.3f' % (o.mean(), o.std()), '10-occ skew %.2f max %d (%d people)' % ((z ** 3).mean(), occ.max(), len(one)), flush=True)
    import pickle
    out = {}
    for n, (E, y) in L.items():
        t = time.time(); donor = None if n != 'archival_portraits' else L['lfw_dev_faded']
        w = fit(E, y, donor, verbose=False); print(n, 'gamma %.3f sigma %.3f trace %.3f alike %.3f' % (w.gamma, w.sigma, w.trace, w.alike), 'fit %.0fs' % (time.time() - t))
        stats(E, y, ' real'); out[n] = w
        S, sy = w.sample(10000, 1); stats(S, sy, ' 10k '); S, sy = w.sample(100000, 2); stats(S, sy, ' 100k')
    pickle.dump(out, open('worlds.pkl', 'wb'))
