from ev import *; from g import *
from a5 import hashperm,synth,reps,q_of,PS
import sys
def off_adapt(X,k,oref,ts,S):
    """X: n x M distances to ref; oref offsets of ref (or None). drop nearest while it would be linked"""
    n=len(X); w=k+S; idx=np.argpartition(X,w-1,1)[:,:w]; d=np.take_along_axis(X,idx,1); s=np.argsort(d,1,kind='stable'); d=np.take_along_axis(d,s,1); idx=np.take_along_axis(idx,s,1)
    cs=np.concatenate([np.zeros((n,1),d.dtype),d.cumsum(1)],1)
    o=np.empty(n); done=np.zeros(n,bool); skips=np.full(n,S)
    for s_ in range(S+1):
        rest=(cs[:,s_+k]-cs[:,s_])/k
        if s_<S:
            nxt=(cs[:,s_+1+k]-cs[:,s_+1])/k
            own=d[:,s_]-(nxt+(oref[idx[:,s_]] if oref is not None else nxt))/2<ts
        else: own=np.zeros(n,bool)
        st=~own&~done; o[st]=rest[st]; skips[st]=s_; done|=~own
    return o,skips
def thin(cand,C,td,M):
    acc=[]; ok=np.ones(len(C),bool)
    for i in cand:
        if ok[i]:
            acc.append(i); ok&=~(C[i]<td)
            ok[i]=False
            if len(acc)==M: break
    return np.array(acc)
def run(E,y,M=2048,k=5,S=8,ts=-.05,td=-.04,iters=4,c0=.015,tau0=-.10,T0=.005,c=.02,tau=-.09,T=.005,pp=.5,ppd=1,taud=-.06,Td=.01,verbose=True,seed=0,D=None,kk=64,m0=4,touch=9):
    D=dist(E) if D is None else D; N=len(E); perm=hashperm(N,seed)
    X=dist(E,synth(E,M,m0,seed)); o=np.sort(np.partition(X,k,1)[:,:k],1).mean(1); sk=np.zeros(1)
    for it in range(iters):
        C=cal(D,o)
        ed=edges(C,kk,c)
        res=prf(hac(N,ed,c,tau,T,touch,2,pp),y)
        lab=hac(N,ed,c,taud,Td,touch,2,ppd)  # loose, for dedupe
        r1=thin(reps(lab,perm,N),C,td,M)
        if verbose:
            print(' it%d e/f %.0f P=%.4f R=%.4f F=%.4f cl=%d lg=%d'%((it,len(ed[0])*2/N)+res),'dd P%.3f R%.3f'%prf(lab,y)[:2],'q',[round(v,3) for v in q_of(C,r1,PS)],'next ref ppl',len(np.unique(y[r1])),len(r1),'maxdup',np.bincount(y[r1]).max(),'skip',round(sk.mean(),2),flush=True)
        if it<iters-1:
            r=r1; o2,sk=off_adapt(D[:,r],k,o[r],ts,S)   # one step, then with consistent ref offsets
            o,sk=off_adapt(D[:,r],k,o2[r],ts,S)
    return res,C,r,o
if __name__=='__main__':
    for n in ('lfw_dev','lfw_dev_faded'):
        E,y=load(n); D=dist(E)
        for kw in (dict(),dict(td=-.06,ts=-.06),dict(td=-.03,ts=-.04),dict(Td=.02,taud=-.03),dict(m0=16,)):
            print(n,kw); run(E,y,D=D,**kw)
