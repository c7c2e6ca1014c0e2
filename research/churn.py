import numpy as np, rule; from base import load; from a16 import hashperm
from scipy.sparse import coo_array; from scipy.sparse.csgraph import connected_components
for n in ('lfw_dev','lfw_dev_faded'):
    E,y=load(n); cal=rule.calibrate(E,hashperm(len(y),1),rule.fast); o=rule.offsets(E,cal); R=cal.reach0-.015; e=rule.edges(E,o,R); N=len(y); full=rule.fast(N,*e,R,R-.1,R); ch=[]
    comp=np.bincount(connected_components(coo_array((np.ones(len(e[0])),(e[0],e[1])),(N,N)),directed=False)[1]).max()
    for i in np.random.default_rng(0).permutation(N)[:200]:
        m=(e[0]!=i)&(e[1]!=i); p=rule.fast(N,e[0][m],e[1][m],e[2][m],R,R-.1,R); keep=np.arange(N)!=i; a,b=p[keep],full[keep]
        # faces that are not in the best match of their old cluster
        _,a=np.unique(a,return_inverse=True); _,b=np.unique(b,return_inverse=True); k,c=np.unique(a*N+b,return_counts=True); o_=np.argsort(-c,kind='stable'); sa=set();sb=set();same=0
        for j in o_:
            u,v=divmod(int(k[j]),N)
            if u not in sa and v not in sb: sa.add(u);sb.add(v);same+=c[j]
        ch.append(N-1-same)
    ch=np.array(ch); print(n,'faces that change cluster per inserted face: mean %.3f median %.0f q90 %.0f max %d; share none %.2f; per assigned %.1e; component at reach: largest %d of %d'%(ch.mean(),np.median(ch),np.quantile(ch,.9),ch.max(),(ch==0).mean(),ch.mean()/N,comp,N),flush=True)
