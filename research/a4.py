from ev import *; from g import *
from a3 import score,nearest
import sys
for n in sys.argv[1:]:
    rng=np.random.default_rng(1)
    E,y=load(n); D=dist(E); N=len(y); print(n)
    one=np.array([rng.choice(np.flatnonzero(y==p)) for p in range(y.max()+1)])
    X=D[:,one].copy(); X[X<1e-3]=9
    for k,s in ((5,1),(100,1),(200,0)): score(cal(D,nearest(X,k,s)),y,'one/person, self out k%d skip%d'%(k,s))
    for src,name in ((one,'one/p'),(np.arange(N),'random')):
      mu=E[src].mean(0)
      for m in (2,4,16):
        M=2400
        R=np.stack([mu+(E[rng.choice(src,m,False)]-mu).sum(0)/np.sqrt(m) for _ in range(M)]); X=dist(E,R)
        for k in (5,20,100) : score(cal(D,nearest(X,k)),y,'%s synth m%d, M=%d k%d'%(name,m,M,k))
    for m in (2,4):
        R=np.stack([E[rng.choice(one,m,False)].mean(0) for _ in range(2400)]); X=dist(E,R)
        for k in (5,20) : score(cal(D,nearest(X,k)),y,'one/p avg of %d k%d'%(m,k))
    for k,s in ((200,100),(400,100)):
        r=np.arange(N); X=D.copy(); np.fill_diagonal(X,9); score(cal(D,nearest(X,k,s)),y,'all k%d skip%d'%(k,s))
