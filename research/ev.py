import numpy as np
from scipy.cluster.hierarchy import linkage,fcluster
from scipy.spatial.distance import squareform
from base import load
def dist(A,B=None):
    B=A if B is None else B
    A=A.astype(np.float32);B=B.astype(np.float32)
    m=A.mean(0,dtype=np.float64).astype(np.float32);A=A-m;B=B-m
    d=(A*A).sum(1)[:,None]+(B*B).sum(1)[None]-2*(A@B.T)
    return np.sqrt(np.maximum(d,0))
def prf(lab,y):
    _,lab=np.unique(lab,return_inverse=True)
    key=lab.astype(np.int64)*(y.max()+1)+y
    c2=lambda c:(c*(c-1)//2).sum()
    tp=c2(np.unique(key,return_counts=True)[1]); pp=c2(np.bincount(lab)); rp=c2(np.bincount(y))
    P=tp/max(pp,1);R=tp/rp
    return P,R,2*P*R/max(P+R,1e-9),lab.max()+1,np.bincount(lab).max()
def offsets(D,ref,k,skip=0,excl=None):
    # D n x n; ref indices; excl: y labels to leave out own person, else self excluded
    X=D[:,ref].copy()
    if excl is not None: X[excl[:,None]==excl[ref][None]]=9
    else:
        X[ref,np.arange(len(ref))]=9
    X=np.partition(X,skip+k,axis=1); X=np.sort(X[:,:skip+k],axis=1)
    return X[:,skip:skip+k].mean(1)
def cal(D,o): 
    C=D-(o[:,None]+o[None])/2; np.fill_diagonal(C,0); return C.astype(np.float32)
def sweep(C,y,method,ts):
    c=squareform(C-C.min(),checks=False) ; mn=C.min()
    Z=linkage(c,method)
    return [(t,)+prf(fcluster(Z,t-mn,'distance'),y) for t in ts]
def best(r): 
    b=max(r,key=lambda x:x[3]); return 't=%.3f P=%.4f R=%.4f F=%.4f cl=%d lg=%d'%b
