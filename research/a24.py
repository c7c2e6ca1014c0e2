from a21 import *
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
def union(a,b):
    n=len(a); _,a=np.unique(a,return_inverse=True); _,b=np.unique(b,return_inverse=True); m=n+a.max()+1+b.max()+1
    i=np.r_[np.arange(n),np.arange(n)]; j=np.r_[n+a,n+a.max()+1+b]
    return connected_components(coo_array((np.ones(len(i)),(i,j)),(m,m)),directed=False)[1][:n]
def calib3(E,order,y=None,lam=1.,raw_rounds=3,theta0=.12,skips=(4,2,2,1),theta=.09,drop=.01,rho=.35,kk=64,B=2,k=5,uni=True,rd=.0,rr=.35,ud=.04,ur=.5):
    n=len(E); parts=np.arange(n); o=np.zeros(n); out=[]
    for t in range(raw_rounds):
        r=firsts(parts,order)[:2000]; q=quant(E,o,r); parts=rule.fast(n,*rule.edges(E,o,q,k=64),q,q-theta0,q,.5,.35)
    q=quant(E,o,firsts(parts,order)[:2000])-ud; raw=rule.fast(n,*rule.edges(E,o,q,k=64),q,q-theta0,q,.5,ur); rawp=prf(raw,y)[:3]
    refs=rule.banks_of(parts,order,banks=B)
    for i,sk in enumerate(skips):
        o=lam*np.mean([rule.nearest_mean(rule.distances(E,E[x]),k,sk) for x in refs],axis=0); q=float(np.mean([quant(E,o,x) for x in refs])); R=q-drop
        parts=rule.fast(n,*rule.edges(E,o,R,k=kk),R,R-theta,R,.5,rho); used=refs; refs=rule.banks_of(union(raw,parts) if uni else parts,order,banks=B)
    return prf(parts,y)+rawp,np.bincount(y[used[0]]).max(),o,q,parts,used
if __name__=='__main__':
    S=[]
    for n in sys.argv[2:]:
        E,y=load(n); S.append((n,E,y,1)); S.append((n,E,y,2)); S.append((n+' grown',)+grow(E,y)+(1,)); S.append((n+' grown',)+grow(E,y,seed=5)+(2,))
    V=[dict(ud=.045),dict(ud=.03),dict(ud=.045,uni=False)]
    part=int(sys.argv[1])
    for v in V[part:part+1]:
        print(v,flush=True)
        for n,E,y,s in S:
            out,md,*_,used=calib3(E,hashperm(len(y),s),y,**v); print('   ',(n+' %d'%s).ljust(24),'| P %.3f R %.3f F %.3f cl %d lg %d | strict raw %.3f %.3f %.3f'%out,'maxdup',md,len(used[0]),flush=True)
