import pickle,sys,time,numpy as np, world
import __main__; __main__.World=world.World
import rule; from ev import prf
from scipy.sparse import coo_array; from scipy.sparse.csgraph import connected_components
W=pickle.load(open('worlds.pkl','rb')); n=int(sys.argv[1])
for nm in sys.argv[2:]:
    E,y=W[nm].sample(n,3); t=time.time(); rng=np.random.default_rng(0); sub=rng.permutation(n)[:6000]
    cal=rule.calibrate(E[sub].astype(float),np.arange(len(sub)),rule.fast); o=rule.offsets(E,cal); tc=time.time()-t
    e=rule.edges(E,o,cal.reach0-.015,k=64,block=500)
    big=np.bincount(y).max()
    for f in (0,.5,1):
        R=cal.reach0-.015+f*rule.shift(n); m=e[2]<=R; ee=(e[0][m],e[1][m],e[2][m])
        p=rule.fast(n,*ee,R,R-.1,R); r=prf(p,y); comp=np.bincount(connected_components(coo_array((np.ones(m.sum()),(ee[0],ee[1])),(n,n)),directed=False)[1]).max()
        deg=np.bincount(np.r_[ee[0],ee[1]],minlength=n)
        print(nm,n,'people',y.max()+1,'largest person',big,'shift x%.1f R=%.3f'%(f,R),'P %.4f R %.4f F %.4f cl %d lg %d'%r,'e/f %.1f max %d'%(2*m.sum()/n,deg.max()),'giant comp %d'%comp,'cal %.0fs all %.0fs'%(tc,time.time()-t),flush=True)
