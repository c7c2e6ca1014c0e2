from ev import *; from g import *
from a3 import nearest
import sys
def hashperm(n,seed=0): return np.random.default_rng(seed).permutation(n)
def synth(E,M,m,seed=0):
    rng=np.random.default_rng(seed); mu=E.mean(0)
    return np.stack([mu+(E[rng.choice(len(E),m,False)]-mu).sum(0)/np.sqrt(m) for _ in range(M)])
def reps(lab,perm,M):
    # first face in perm order per cluster, then first M
    l=lab[perm]; _,first=np.unique(l,return_index=True); first.sort(); return perm[first[:M]]
def q_of(C,r,ps):
    X=C[np.ix_(r,r)]; v=np.sort(X[np.triu_indices(len(r),1)]); return [float(v[int(len(v)*p)]) for p in ps]
PS=(.05,.02,.01,5e-3,2e-3,1e-3,1e-4,1e-5)
def run(E,y,M=2048,k=5,skip=1,iters=4,taus=(-.09,),pp=.5,verbose=True,seed=0,dT=.01,D=None):
    D=dist(E) if D is None else D; N=len(E); perm=hashperm(N,seed)
    X=dist(E,synth(E,M,4,seed)); o=nearest(X,k)
    out=[]
    for it in range(iters):
        C=cal(D,o)
        if it==0: r=perm[:M]
        qs=q_of(C,r,PS); c=qs[4]; 
        beta=(qs[1]-qs[4])/np.log(10)
        ed=edges(C,64,c)
        tau=c-beta*np.log(2e-3/8e-6); T=c-dT
        lab=hac(N,ed,c,tau,T,9,2,pp); r=reps(lab,perm,M)
        res=prf(lab,y)
        if verbose: 
            print(' it%d c=%.3f beta=%.4f tau=%.3f T=%.3f e/f %.0f P=%.4f R=%.4f F=%.4f cl=%d lg=%d'%((it,c,beta,tau,T,len(ed[0])*2/N)+res),'q',[round(v,3) for v in q_of(C,r,PS)],'ref people',len(np.unique(y[r])),len(r),flush=True)
        X=D[:,r].copy(); X[r,np.arange(len(r))]=-9; o=nearest(X,k,skip)   # self counted as own, skipped
    return lab,res
if __name__=='__main__':
    for n in ('lfw_dev','lfw_dev_faded'):
        E,y=load(n); D=dist(E)
        print(n)
        rng=np.random.default_rng(1); one=np.array([rng.choice(np.flatnonzero(y==p)) for p in range(y.max()+1)]); S=y[:,None]!=y[None]
        C=cal(D,offsets(D,one,5,0,y)); v=np.sort(C[S]); print(' oracle q',[round(float(v[int(len(v)*p)]),3) for p in PS+(1e-6,)])
        run(E,y,D=D)
    E,y=load('archival_portraits'); D=dist(E); X=D.copy(); np.fill_diagonal(X,9)
    for k,s in ((1,0),(1,1),(2,1)):
        C=cal(D,nearest(X,k,s)); print('portraits',k,s,[round(v,3) for v in q_of(C,np.arange(len(E)),PS)])
    o=nearest(dist(E,synth(E,2048,2)),5); print('portraits synth2',[round(v,3) for v in q_of(cal(D,o),np.arange(len(E)),PS)])
