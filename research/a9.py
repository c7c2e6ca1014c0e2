from ev import *; from g import *
from a5 import hashperm,synth,reps,q_of,PS
from a7 import off_adapt,thin
import sys
def knear(X,k,skip=0):
    X=np.partition(X,skip+k,axis=1)[:,:skip+k+1]; X.sort(1); return X[:,skip:skip+k].mean(1)
def run(E,y,M=2048,k=5,skip=1,td=-.08,sched=(4,4,2,1,1),dtau=-.10,dT=-.015,pp=.5,ppd=1,dtaud=-.08,dTd=-.01,verbose=True,seed=0,D=None,kk=64,m0=4,touch=9,p0=2e-3):
    D=dist(E) if D is None else D; N=len(E); perm=hashperm(N,seed); r=perm; 
    for it,m in enumerate(sched):
        if m>1: o=knear(dist(E,synth(E[r],M,m,seed)),k)
        else:
            r=r[:M]; X=D[:,r].copy(); X[r,np.arange(len(r))]=-9; o=knear(X,k,skip)
        C=cal(D,o)
        c=q_of(C,r[:M],[p0])[0] if it else .015
        ed=edges(C,kk,c)
        res=prf(hac(N,ed,c,c+dtau,c+dT,touch,2,pp),y)
        lab=hac(N,ed,c,c+dtaud,c+dTd,touch,2,ppd)  # loose, for dedupe
        r0=r; r=thin(reps(lab,perm,N),C,c+td,N)
        if verbose:
            print(' it%d m%d c=%.3f e/f %.0f P=%.4f R=%.4f F=%.4f cl=%d lg=%d'%((it,m,c,len(ed[0])*2/N)+res),'dd P%.3f R%.3f'%prf(lab,y)[:2],'q',[round(v,3) for v in q_of(C,r[:M],PS)],'next ref ppl',len(np.unique(y[r])),len(r),'maxdup',np.bincount(y[r]).max(),flush=True)
    return res,C,r0,o,c
if __name__=='__main__':
    for n in ('lfw_dev','lfw_dev_faded'):
        E,y=load(n); D=dist(E)
        for kw in (dict(),dict(sched=(8,8,4,2,1,1)),dict(sched=(4,4,4,4,2,2,2,1,1,1))):
            print(n,kw); run(E,y,D=D,**kw)
