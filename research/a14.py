from ev import *; from g import *
from a5 import hashperm,synth,q_of
from a9 import knear
import sys,pickle
def order(lab,perm,minsize=2):
    l=lab[perm]; u,first,s=np.unique(l,return_index=True,return_counts=True)
    return perm[first[np.lexsort((first,-np.minimum(s,minsize)))]]
def run(E,y,M=1024,sched=((8,5,0),(1,5,3),(1,3,1),(1,3,1)),first=(-.1,-.02,.5),pars=(-.09,-.01,.5),seed=0,D=None,kk=64,p0=2e-3,verbose=True,c0=.015,minsize=2,M0=2048):
    D=dist(E) if D is None else D; N=len(E); perm=hashperm(N,seed); r=perm
    for it,(m,k,skip) in enumerate(sched):
        if m>1: o=knear(dist(E,synth(E[r],M0,m,seed)),k,skip)
        else:
            r=r[:M]; X=D[:,r].copy(); X[r,np.arange(len(r))]=-9; o=knear(X,k,skip)
        C=cal(D,o); c=q_of(C,r,[p0])[0] if it else c0
        a=pars if it else first; ed=edges(C,kk,c)
        lab=hac(N,ed,c,c+a[0],c+a[1],9,2,a[2]); res=prf(lab,y); r0=r; r=order(lab,perm,minsize)
        if verbose: print('   it%d m%d k%d s%d c=%.3f e/f %.0f P=%.4f R=%.4f F=%.4f cl=%d lg=%d'%((it,m,k,skip,c,len(ed[0])*2/N)+res),'ref ppl',len(np.unique(y[r0[:M]])),'next',len(np.unique(y[r[:M]])),'maxdup',np.bincount(y[r[:M]]).max(),flush=True)
    return lab,res,C,r0,o,c
if __name__=='__main__':
    from a13 import grid
