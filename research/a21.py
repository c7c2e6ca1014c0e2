from a16 import *; import rule
from a20 import grow
def quant(E,o,r,p=2e-3):
    C=rule.distances(E[r],E[r])-(o[r][:,None]+o[r][None])/2; v=np.sort(C[np.triu_indices(len(r),1)]); return float(v[int(len(v)*p)])
def firsts(parts,order):
    l=parts[order]; _,f=np.unique(l,return_index=True); f.sort(); return order[f]
def calib(E,order,y=None,raw_rounds=4,theta0=.12,skips=(4,2,1),theta=.09,drop=.01,rho=.35,verbose=False,kk=64,first_rho=.35,B=2):
    n=len(E); parts=np.arange(n); o=np.zeros(n)
    for t in range(raw_rounds):
        r=firsts(parts,order)[:2000]; q=quant(E,o,r)-.0
        parts=rule.fast(n,*rule.edges(E,o,q,k=kk),q,q-theta0,q,.5,first_rho)
        if verbose: print('   raw q %.3f'%q,'P %.3f R %.3f F %.3f cl %d lg %d'%prf(parts,y))
    refs=rule.banks_of(parts,order,banks=B)
    for i,sk in enumerate(skips):
        cal=rule.Calibration(tuple(E[x] for x in refs),0.); o=rule.offsets(E,cal,sk); q=float(np.mean([quant(E,o,x) for x in refs])); R=q-drop
        parts=rule.fast(n,*rule.edges(E,o,R,k=kk),R,R-theta,R,.5,rho)
        if verbose: print('   skip',sk,'q %.3f'%q,'P %.3f R %.3f F %.3f cl %d lg %d'%prf(parts,y),'ref',len(refs[0]),len(np.unique(y[refs[0]])),'maxdup',np.bincount(y[refs[0]]).max())
        last=refs; refs=rule.banks_of(parts,order,banks=B)
    return rule.Calibration(cal.banks,q),o,parts
if __name__=='__main__':
    for n in ('lfw_dev','lfw_dev_faded'):
        for g in (1,0):
            E,y=load(n); 
            if g: E,y=grow(E,y)
            for kw in (dict(),dict(theta0=.14),dict(theta0=.1),dict(skips=(4,2,2,1,1))):
                print(n,'grown' if g else '',kw); calib(E,hashperm(len(y),1),y,verbose=True,**kw)
