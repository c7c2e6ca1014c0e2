from c24 import *
import pickle,sys
ud=.06; G=[(d,t,r) for d in (.01,.015) for t in (.09,.1) for r in (.15,.2,.25,.3)]
res={}
for n in ('lfw_dev','lfw_dev_faded'):
    for g in (0,1):
        for s in (1,2):
            E,y=load(n)
            if g: E,y=grow(E,y,seed=s*4)
            out,md,o,q,parts,used=calib3(E,hashperm(len(y),s),y,ud=ud); nm='%s%s %d'%(n,' grown' if g else '',s)
            print(nm,'P %.3f R %.3f F %.3f cl %d lg %d | raw strict %.3f %.3f %.3f'%out,'maxdup',md,flush=True)
            e=None; row=[]
            for d,t,r in G:
                e=rule.edges(E,o,q-d) if e is None else e
                row.append(prf(rule.fast(len(y),*e,q-d,q-d-t,q-d,.5,r),y)[:3])
            res[nm]=np.array(row); pickle.dump((G,res),open('a26_%g.pkl'%ud,'wb'))
A=np.array([res[k] for k in res]); print(list(res))
for i,g in enumerate(G): print(g,'P',A[:,i,0].round(3),'F',A[:,i,2].round(3),flush=True)
