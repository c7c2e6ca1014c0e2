from a21 import *
def calib2(E,order,y=None,lam=1.,raw_rounds=3,theta0=.12,skips=(4,2,2,1),theta=.09,drop=.01,rho=.35,kk=64,B=2,k=5):
    n=len(E); parts=np.arange(n); o=np.zeros(n); out=[]
    for t in range(raw_rounds):
        r=firsts(parts,order)[:2000]; q=quant(E,o,r); parts=rule.fast(n,*rule.edges(E,o,q,k=64),q,q-theta0,q,.5,.35)
    out.append(prf(parts,y)[:3]); refs=rule.banks_of(parts,order,banks=B)
    for i,sk in enumerate(skips):
        o=lam*np.mean([rule.nearest_mean(rule.distances(E,E[x]),k,sk) for x in refs],axis=0); q=float(np.mean([quant(E,o,x) for x in refs])); R=q-drop
        parts=rule.fast(n,*rule.edges(E,o,R,k=kk),R,R-theta,R,.5,rho); used=refs; refs=rule.banks_of(parts,order,banks=B)
    out.append(prf(parts,y)); 
    return out,np.bincount(y[used[0]]).max(),o,q,parts,used
if __name__=='__main__':
    S=[]
    for n in ('lfw_dev','lfw_dev_faded'):
        E,y=load(n); S.append((n,E,y,1)); S.append((n,E,y,2)); S.append((n+' grown',)+grow(E,y)+(1,)); S.append((n+' grown',)+grow(E,y,seed=5)+(2,))
        p=np.random.default_rng(1).permutation(y.max()+1)[:(y.max()+1)//2]; i=np.flatnonzero(np.isin(y,p)); S.append((n+' half',E[i],np.unique(y[i],return_inverse=True)[1],1))
    V=[dict(lam=l,theta=.12-.03*l,**kw) for l in (1,.8,.6) for kw in (dict(),dict(skips=(4,3,3)),dict(skips=(4,2,2,1),kk=128))]+[dict(lam=.8,theta=.10),dict(lam=.8,theta=.09),dict(lam=.8,theta=.096,drop=.0)]
    part=int(sys.argv[1])
    for v in V[part::2]:
        print(v,flush=True)
        for n,E,y,s in S:
            out,md,*_=calib2(E,hashperm(len(y),s),y,**v); print('   ',(n+' %d'%s).ljust(24),'raw %.3f %.3f %.3f'%out[0],'| P %.3f R %.3f F %.3f cl %d lg %d'%out[1],'maxdup',md,flush=True)
