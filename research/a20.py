from a16 import *; import rule
def grow(E,y,targets=(530,236),seed=0):
    """the largest people grown by mixtures of their own residuals: the held-out set's largest are about so big"""
    rng=np.random.default_rng(seed); c=np.bincount(y); big=np.argsort(-c)[:len(targets)]; A=[E];Y=[y]
    for p,t in zip(big,targets):
        x=E[y==p]; mu=x.mean(0); r=x-mu; m=t-len(x); i=rng.integers(0,len(r),(m,2)); a=rng.uniform(.6,.95,m)[:,None]
        A.append(mu+(a*r[i[:,0]]+np.sqrt(1-a*a)*r[i[:,1]])*1.02); Y.append(np.full(m,p))
    return np.concatenate(A),np.concatenate(Y)
if __name__=='__main__':
    for n in ('lfw_dev','lfw_dev_faded'):
        E,y=grow(*load(n)); order=hashperm(len(y),1); cal=rule.calibrate(E,order,rule.fast); o=rule.offsets(E,cal); s=cal.reach0
        for k in (64,128,256):
            for rho in (0,.2,.35):
                e=rule.edges(E,o,s-.01,k=k); p=rule.fast(len(y),*e,s-.01,s-.1,s-.01,.5,rho); 
                sizes=[np.sort(np.bincount(np.unique(p[y==b],return_inverse=True)[1]))[::-1][:4].tolist() for b in np.argsort(-np.bincount(y))[:3]]
                print(n,len(y),'k',k,'rho',rho,'e/f %.1f'%(2*len(e[0])/len(y)),'P %.4f R %.4f F %.4f cl %d lg %d'%prf(p,y),sizes,flush=True)
