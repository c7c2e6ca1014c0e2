import numpy as np, os
D='../shared/data/embeddings/'
def load(n):
    z=np.load(D+n+'.npz',allow_pickle=True); E=z['E'].astype(np.float64); F=z['F']
    y=np.array([str(f).split('/')[0] for f in F]); _,y=np.unique(y,return_inverse=True)
    return E,y
E_='x'
if __name__=='__main__':
    for n in ['lfw_dev','lfw_dev_faded','archival_portraits']:
        E,y=load(n); c=np.bincount(y)
        nn=np.linalg.norm(E,axis=1)
        G=E@E.T; s=np.diag(G); d=np.sqrt(np.maximum(s[:,None]+s[None]-2*G,0))
        iu=np.triu_indices(len(E),1); dd=d[iu]; same=y[iu[0]]==y[iu[1]]
        st=dd[~same]
        print(n,E.shape,len(c),sorted(c)[-12:],(c==1).sum(),'norm',nn.mean(),nn.std(),'same pairs',same.sum())
        print(' strangers', [(t,(st<=t).sum(),(st<=t).mean()) for t in (0.3,0.37,0.42,0.5,.6)])
        if same.sum(): print(' same q',np.quantile(dd[same],[.01,.05,.25,.5,.75,.95,.99]))
        print(' stranger q',np.quantile(st,[.01,.05,.25,.5,.75,.95,.99]))
