from ev import *; from g import *
from a5 import hashperm,synth,reps,q_of,PS
from a9 import knear
import sys,time
def avg_to_big(C,lab,b):
    """C n x n; returns cluster ids, sizes, mean distance of every face to each big cluster (n x nbig)"""
    u,l,s=np.unique(lab,return_inverse=True,return_counts=True)
    big=np.flatnonzero(s>=b); A=np.empty((len(C),len(big)),np.float32)
    for j,t in enumerate(big): A[:,j]=C[:,l==t].mean(1)
    return u,l,s,big,A
def refset(C,lab,perm,M,b,Tx):
    """one face a cluster, in order, without clusters that are near on average to a bigger big cluster"""
    u,l,s,big,A=avg_to_big(C,lab,b)
    r=reps(l,perm,len(l)); keep=[]
    if len(big):
        # cluster average to big: average of members
        S=np.zeros((len(u),len(big)),np.float32); np.add.at(S,l,A); S/=s[:,None]
        bigger=(s[big][None]>s[:,None])|((s[big][None]==s[:,None])&(big[None]<np.arange(len(u))[:,None]))
        drop=((S<Tx)&bigger).any(1)
        r=r[~drop[l[r]]]
    return r[:M] if M else r
def run(E,y,M=2048,sched=((8,5,0),(1,10,10),(1,5,5),(1,5,3),(1,5,1)),dtau=-.10,dT=-.02,pp=.5,b=5,tx=.03,verbose=True,seed=0,D=None,kk=64,touch=9,p0=2e-3,grid=False):
    D=dist(E) if D is None else D; N=len(E); perm=hashperm(N,seed); r=perm 
    for it,(m,k,skip) in enumerate(sched):
        if m>1: o=knear(dist(E,synth(E[r],M,m,seed)),k,skip)
        else:
            X=D[:,r].copy(); X[r,np.arange(len(r))]=-9; o=knear(X,k,skip)
        C=cal(D,o)
        c=q_of(C,r[:M],[p0])[0] if it else .015
        ed=edges(C,kk,c)
        lab=hac(N,ed,c,c+dtau,c+dT,touch,2,pp); res=prf(lab,y)
        r0=r; r=refset(C,lab,perm,M,b,c+tx)
        if verbose:
            print(' it%d m%d k%d s%d c=%.3f e/f %.0f P=%.4f R=%.4f F=%.4f cl=%d lg=%d'%((it,m,k,skip,c,len(ed[0])*2/N)+res),'q',[round(v,3) for v in q_of(C,r[:M],PS)],'next ref ppl',len(np.unique(y[r[:M]])),len(r),'maxdup',np.bincount(y[r[:M]]).max(),flush=True)
    if grid:
        rs=[]
        for pp in (.5,.75,1):
          for dc in (-.02,-.01,0,.01,.02):
            ed=edges(C,kk,c+dc)
            for tau in (-.12,-.11,-.1,-.09,-.08):
              for T in (-.01,-.02,-.03):
                rs.append((pp,dc,tau,T)+tuple(np.round(prf(hac(N,ed,c+dc,c+dc+tau,c+dc+T,touch,2,pp),y),4)))
        rs.sort(key=lambda r:-r[6]); [print('     ',*[float(v) for v in x]) for x in rs[:4]]
    return res,C,r0,o,c
if __name__=='__main__':
    for n in ('lfw_dev_faded','lfw_dev'):
        E,y=load(n); D=dist(E)
        one=np.array([np.flatnonzero(y==p)[0] for p in range(y.max()+1)]); C=cal(D,offsets(D,one,5,0,y))
        _,l,s,big,A=avg_to_big(C,y,10); own=np.array([big[j] for j in range(len(big))])[None]==y[:,None]
        print(n,'avg to big: own',np.quantile(A[own],[.5,.8,.9,.95,.98,.99]).round(3),'strangers',np.quantile(A[~own],[1e-5,1e-4,1e-3,1e-2]).round(3))
        for tx in (.0,.03,.05):
            print(n,tx); t=time.time(); run(E,y,D=D,tx=tx,grid=tx==.03); print(round(time.time()-t,1),'s')
