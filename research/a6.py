from ev import *; from g import *
from a3 import nearest
from a5 import *
def run(E,y,M=2048,k=5,skip=1,iters=4,c0=.015,tau0=-.13,T0=.005,c=.02,tau=-.09,T=.005,pp=.5,verbose=True,seed=0,D=None,kk=64,m0=4,final=None,touch=9):
    D=dist(E) if D is None else D; N=len(E); perm=hashperm(N,seed)
    X=dist(E,synth(E,M,m0,seed)); o=nearest(X,k); r=perm[:M]
    for it in range(iters):
        C=cal(D,o); a=(c0,tau0,T0) if it==0 else (c,tau,T)
        ed=edges(C,kk,a[0]); lab=hac(N,ed,a[0],a[1],a[2],touch,2,pp)
        res=prf(lab,y)
        if verbose:
            r1=reps(lab,perm,M)
            print(' it%d e/f %.0f P=%.4f R=%.4f F=%.4f cl=%d lg=%d'%((it,len(ed[0])*2/N)+res),'q',[round(v,3) for v in q_of(C,r1,PS)],'next ref people',len(np.unique(y[r1])),len(r1),flush=True)
        if it<iters-1:
            r=reps(lab,perm,M)
            X=D[:,r].copy(); X[r,np.arange(len(r))]=-9; o=nearest(X,k,skip)
    return lab,res,C,r,o
if __name__=='__main__':
    for n in ('lfw_dev','lfw_dev_faded'):
        E,y=load(n); D=dist(E)
        print(n); run(E,y,D=D)
        for m0 in (8,16): print('m0',m0); run(E,y,D=D,m0=m0,iters=3)
        for it in (3,):
          _,_,C,r,o=run(E,y,D=D,iters=it,verbose=False)
          for pp in (.5,1):
            res=[]
            for c in (0.,.01,.02,.03):
              ed=edges(C,64,c)
              for tau in (-.12,-.11,-.1,-.09,-.08,-.07):
                for T in (c-.01,c-.02,c-.03,c-.04):
                    res.append((c,tau,round(T,3))+tuple(np.round(prf(hac(len(y),ed,c,tau,T,9,2,pp),y),4)))
            res.sort(key=lambda r:-r[5])
            print(pp); [print('   ',*[float(v) for v in r]) for r in res[:8]]
