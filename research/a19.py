from a16 import *; import rule
for n in ('lfw_dev','lfw_dev_faded'):
    E,y=load(n); F=np.load('../shared/data/embeddings/%s.npz'%n,allow_pickle=True)['F']; order=rule.rank_of(F)
    for k in (64,32,17,10):
        cal=rule.calibrate(E,order,rule.fast); o=rule.offsets(E,cal); s=cal.reach0
        e=rule.edges(E,o,s-.01,k=k); ed=(e[0].astype(np.int32),e[1].astype(np.int32),e[2].astype(np.float32))
        for kk in (0,k): print(n,'k',k,'capped' if kk else 'plain','e/f %.1f'%(2*len(e[0])/len(y)),'P %.4f R %.4f F %.4f cl %d lg %d'%prf(hac(len(y),ed,s-.01,s-.1,s-.01,9,2,.5,k=kk,rho=.35),y),flush=True)
    # parameter sensitivity
    e=rule.edges(E,o,s+.02)
    for nm,base in (('reach',-.01),('single',-.1),('join',-.01),('rho',.35),('power',.5)):
        for dv in ((-.01,.01) if nm in('reach','single','join') else (-.1,.1)):
            p=dict(reach=-.01,single=-.1,join=-.01,rho=.35,power=.5); p[nm]+=dv
            e=rule.edges(E,o,s+p['reach']); print(n,nm,round(p[nm],3),'P %.4f R %.4f F %.4f cl %d lg %d'%prf(rule.fast(len(y),*e,s+p['reach'],s+p['single'],s+p['join'],p['power'],p['rho']),y),flush=True)
