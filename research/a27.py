from c24 import *; from g import hac; import pickle
def f32(e): return (e[0].astype(np.int32),e[1].astype(np.int32),e[2].astype(np.float32))
T=[(t,rho,r1,rs) for t in (.09,.1) for rho,r1 in ((.35,0),(.25,0),(.2,.2),(.15,.3),(.2,.3),(.15,.45)) for rs in (0,.15,.25)]
res={};cals={}
for n in ('lfw_dev','lfw_dev_faded'):
    for g in (0,1):
        for s in (1,2,-1) if not g else (1,2):
            E,y=load(n)
            if g: E,y=grow(E,y,seed=s*4)
            order=rule.rank_of(np.load('../shared/data/embeddings/%s.npz'%n,allow_pickle=True)['F']) if s<0 else hashperm(len(y),s)
            cal=rule.calibrate(E,order,rule.fast); o=rule.offsets(E,cal); R=cal.reach0-.015; e=f32(rule.edges(E,o,R)); nm='%s%s%d'%(n[7:] or '_col','_grown' if g else '',s)
            res[nm]=np.array([prf(hac(len(y),e,R,R-t,R,9,2,.5,rho=rho,r1=r1,rs=rs),y)[:3] for t,rho,r1,rs in T]); cals[nm]=(E,y,o,R,e)
            print(nm,flush=True)
pickle.dump((T,res),open('a27.pkl','wb'))
print(list(res))
for i,t in enumerate(T): print(t,'P',*['%.3f'%res[k][i,0] for k in res],'F',*['%.3f'%res[k][i,2] for k in res],flush=True)
