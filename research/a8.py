from ev import *; from g import *
from a5 import hashperm,synth,reps,q_of,PS
from a7 import off_adapt,thin
import sys
def run(E,y,M=2048,k=5,S=8,ts=-.075,td=-.07,iters=4,dtau=-.10,dT=-.015,pp=.5,ppd=1,dtaud=-.08,dTd=-.01,verbose=True,seed=0,D=None,kk=64,m0=4,touch=9,p0=2e-3,inner=2):
    D=dist(E) if D is None else D; N=len(E); perm=hashperm(N,seed)
    X=dist(E,synth(E,M,m0,seed)); o=np.sort(np.partition(X,k,1)[:,:k],1).mean(1); sk=np.zeros(1); c=.015
    for it in range(iters):
        C=cal(D,o)
        if it: 
            c=q_of(C,r,[p0])[0]
        ed=edges(C,kk,c)
        res=prf(hac(N,ed,c,c+dtau,c+dT,touch,2,pp),y)
        lab=hac(N,ed,c,c+dtaud,c+dTd,touch,2,ppd)  # loose, for dedupe
        r1=thin(reps(lab,perm,N),C,c+td,M)
        if verbose:
            print(' it%d c=%.3f e/f %.0f P=%.4f R=%.4f F=%.4f cl=%d lg=%d'%((it,c,len(ed[0])*2/N)+res),'dd P%.3f R%.3f'%prf(lab,y)[:2],'q',[round(v,3) for v in q_of(C,r1,PS)],'next ref ppl',len(np.unique(y[r1])),len(r1),'maxdup',np.bincount(y[r1]).max(),'skip',round(sk.mean(),2),flush=True)
        if it<iters-1:
            r=r1; o2=o
            for _ in range(inner): o2,sk=off_adapt(D[:,r],k,o2[r],c+ts,S)
            o=o2
    return res,C,r,o,c
if __name__=='__main__':
    for n in ('lfw_dev','lfw_dev_faded'):
        E,y=load(n); D=dist(E)
        for kw in (dict(),dict(td=-.06,ts=-.06),dict(td=-.09,ts=-.09),dict(m0=16,),dict(M=1024),dict(M=1024,k=3)):
            print(n,kw); run(E,y,D=D,**kw)
