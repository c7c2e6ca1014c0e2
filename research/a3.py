from ev import *; from g import *
import sys
def score(C,y,offs_name,c=None,quiet=False):
    """best over small grid, relative to 1e-6.. uses oracle stranger quantiles to place tau and c"""
    N=len(y); S=y[:,None]!=y[None]
    st=np.partition(C[S],[int(S.sum()*1e-6),int(S.sum()*1e-5),int(S.sum()*2e-3)])
    q=lambda p: float(st[int(len(st)*p)])
    t6,t5,c=q(1e-6),q(1e-5),q(2e-3)
    ed=edges(C,64,c)
    res=[]
    for p1 in (.5,1):
        for tau in (t6,(t6+t5)/2,t5):
            for T in (c-.01,c-.02,c-.03,c-.04):
                res.append((p1,round(tau,3),round(T,3))+tuple(np.round(prf(hac(N,ed,c,tau,T,9,2,p1),y),4)))
    sg=[prf(hac(N,ed,c,t,0,9,5),y)[2] for t in np.linspace(t6-.03,t5+.02,8)]
    r=max(res,key=lambda r:r[5])
    print('%-34s c=%.3f t6=%.3f t5=%.3f e/f=%.0f single %.4f | p=%.1f tau=%.3f T=%.3f P=%.4f R=%.4f F=%.4f cl=%d lg=%d'%((offs_name,c,t6,t5,len(ed[0])*2/N,max(sg))+r),flush=True)
def nearest(X,k,skip=0):
    X=np.partition(X,skip+k,axis=1)[:,:skip+k+1]; X.sort(1); return X[:,skip:skip+k].mean(1)
if __name__=='__main__':
  for n in sys.argv[1:]:
    rng=np.random.default_rng(1)
    E,y=load(n); D=dist(E); N=len(y); print(n)
    one=np.array([rng.choice(np.flatnonzero(y==p)) for p in range(y.max()+1)])
    for k in (5,10,20): score(cal(D,offsets(D,one,k,0,y)),y,'oracle one/person k%d'%k)
    for k,s in ((10,1),(10,2),(20,1)):
        X=D[:,one].copy(); X[X<1e-3]=9; score(cal(D,nearest(X,k,s)),y,'one/person, self out k%d skip%d'%(k,s))
    for k,s in ((10,0),(10,1),(10,5),(10,20),(50,50)):
        r=rng.choice(N,2400,False); X=D[:,r].copy(); X[r,np.arange(2400)]=9; score(cal(D,nearest(X,k,s)),y,'random 2400 k%d skip%d'%(k,s))
    for m in (2,3,4,8):
      for M in (600,2400):
        R=np.stack([E[rng.choice(N,m,False)].mean(0) for _ in range(M)]); X=dist(E,R)
        # same mean: dist subtracts A mean only
        for k in (5,20) : score(cal(D,nearest(X,k)),y,'avg of %d, M=%d k%d'%(m,M,k))
