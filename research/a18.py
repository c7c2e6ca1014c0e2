from a16 import *; import rule
def dbscan(D,y,eps):
    from scipy.sparse.csgraph import connected_components
    from scipy.sparse import csr_matrix
    return prf(connected_components(csr_matrix(D<=eps),directed=False)[1],y)
print('DBSCAN'); 
for n in ('lfw_dev','lfw_dev_faded'):
    E,y=load(n); D=dist(E); np.fill_diagonal(D,0)
    for e in (.36,.37,.38,.39,.4,.41,.42,.43):
        i,j=np.nonzero(np.triu(D<=e,1)); print(n,e,'P %.4f R %.4f F %.4f cl %d lg %d'%dbscan(D,y,e),'e/f %.1f'%(2*len(i)/len(y)))
print('rule.py, subsets')
for t,E,y,k2 in subsets():
    order=hashperm(len(y),k2.get('seed',0)+11); cal=rule.calibrate(E,order,rule.fast); parts,e=rule.cluster(E,cal,len(E),rule.fast); parts2,_=rule.cluster(E,cal,5325,rule.fast); p=prf(parts,y)
    print(t.ljust(30),len(y),'P %.3f R %.3f F %.3f cl %d lg %d'%p,'people',y.max()+1,'reach0 %.3f'%cal.reach0,'M',len(cal.banks[0]),flush=True)
