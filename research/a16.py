from ev import *; from g import *
from a5 import hashperm,synth,q_of
from a9 import knear
import sys
def banks(lab,perm,M,B,lo=None):
    """B references, each M faces of M different clusters: clusters of two faces or more first, in the order of their first face"""
    l=lab[perm]; u,inv,s=np.unique(l,return_inverse=True,return_counts=True)
    o=np.argsort(inv,kind='stable'); start=np.r_[0,np.cumsum(s)[:-1]]; first=o[start]
    ordr=np.lexsort((first,-np.minimum(s,2)))
    n2=(s>=2).sum(); out=[]
    if lo: M=int(np.clip(n2,lo,M))
    for b in range(B):
        if n2>=M: pick=ordr[:M]
        else:
            sing=ordr[n2:]; need=M-n2; a=(b*need)%max(len(sing),1); pick=np.r_[ordr[:n2],np.roll(sing,-a)[:need]]
        out.append(perm[o[start[pick]+b%s[pick]]])
    return out
def offs(D,refs,k,skip):
    o=0
    for r in refs:
        X=D[:,r].copy(); X[r,np.arange(len(r))]=-9; o=o+knear(X,k,skip)
    return o/len(refs)
SC=((5,4),(5,2),(5,1))
def run(E,y,M=320,B=4,sched=SC,m0=8,first=(-.1,-.02,.5),pars=(-.09,-.01,.5),seed=0,D=None,kk=64,p0=2e-3,verbose=True,c0=.015,M0=2048,inner=1,lo=None,rho=0.,rmin=2):
    D=dist(E) if D is None else D; N=len(E); perm=hashperm(N,seed); refs=None; lab=None
    for it,(k,skip) in enumerate((None,)+tuple(sched) if False else [(5,0)]+list(sched)):
        if it==0: o=knear(dist(E,synth(E,M0,m0,seed)),k,skip); c=c0
        else: o=offs(D,refs,k,skip)
        C=cal(D,o)
        if it: c=float(np.mean([q_of(C,r,[p0])[0] for r in refs]))
        a=pars if it else first; ed=edges(C,kk,c); r0=refs
        lab=hac(N,ed,c,c+a[0],c+a[1],9,2,a[2],rho=rho,rmin=rmin); res=prf(lab,y); refs=banks(lab,perm,M,B,lo)
        if verbose: print('   it%d k%d s%d c=%.3f e/f %.0f P=%.4f R=%.4f F=%.4f cl=%d lg=%d'%((it,k,skip,c,len(ed[0])*2/N)+res),'next',[len(np.unique(y[r])) for r in refs],'maxdup',np.bincount(y[refs[0]]).max(),flush=True)
    return lab,res,C,r0,o,c
CF=[(.5,-.01,-.085,-.02,-.09),(.5,-.01,-.085,-.02,9),(.5,-.01,-.1,-.02,-.09),(.5,0,-.085,-.02,-.09),(.75,-.01,-.085,-.025,-.09),(1,-.01,-.1,-.025,-.09)]
def fin(C,y,c,kk=64): return [prf(hac(len(y),edges(C,kk,c+f[1]),c+f[1],c+f[2],c+f[3],c+f[4],2,f[0]),y)[:5] for f in CF]
def show(t,E,y,kk=64,**kw):
    lab,res,C,r,o,c=run(E,y,verbose=False,kk=kk,**kw); f=fin(C,y,c,kk)
    print(t.ljust(34),'n',len(y),'c=%.3f'%c,'refppl %d/%d'%(len(np.unique(y[r[0]])),len(r[0])),*['| %.3f %.3f %.3f'%(a[0],a[1],a[2]) for a in f],flush=True); return f
def subsets():
    S={n:load(n) for n in ('lfw_dev','lfw_dev_faded','archival_portraits')}
    for n in ('lfw_dev','lfw_dev_faded'):
        E,y=S[n]
        for s in (0,1,2): yield n+' hash %d'%s,E,y,dict(seed=s)
        for s in (1,2):
            p=np.random.default_rng(s).permutation(y.max()+1)[:(y.max()+1)//2]; i=np.flatnonzero(np.isin(y,p)); yield n+' half people %d'%s,E[i],np.unique(y[i],return_inverse=True)[1],{}
        i=np.random.default_rng(2500).permutation(len(y))[:2500]; yield n+' random 2500',E[i],np.unique(y[i],return_inverse=True)[1],{}
    (A,ya),(B,yb),(P,yp)=S['lfw_dev'],S['lfw_dev_faded'],S['archival_portraits']
    h=np.random.default_rng(3).random(ya.max()+1)<.5; i=h[ya]; yield 'mix half colour half faded',np.concatenate([A[i],B[~i]]),np.concatenate([ya[i],ya[~i]]),{}
    yield 'mix colour+portraits',np.concatenate([A,P]),np.concatenate([ya,yp+5000]),{}
    yield 'mix faded+portraits',np.concatenate([B,P]),np.concatenate([ya,yp+5000]),{}
if __name__=='__main__':
    sel=sys.argv[1] if len(sys.argv)>1 else ''
    V=dict(M320B4=dict(M=320,B=4),M320B4k3=dict(M=320,B=4,sched=((3,4),(3,2),(3,1))),M640B3=dict(M=640,B=3),M320B4i=dict(M=320,B=4,sched=((5,4),(5,2),(5,1),(5,1),(5,1))))
    for v,kw in V.items():
        if sel and v!=sel: continue
        print(v,CF)
        for t,E,y,k2 in subsets(): show(t,E,y,**kw,**k2)
